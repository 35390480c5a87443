"""The training of a classifier on images that are distorted afresh in each batch."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import OneCycleLR

from warpkit.datasets import Distortion, Labelled
from warpkit.errors import require

Progress = Callable[[int, float], None]
_TEST_SEED = 2015  # the test images are the same whatever seed a model is trained with
_EVALUATED = 500  # images at a time


def train(
    model: nn.Module,
    data: Labelled,
    distortion: Distortion,
    *,
    steps: int,
    seed: int,
    batch: int = 64,
    rate: float = 5e-3,
    progress: Progress | None = None,
) -> None:
    """Take `steps` of Adam on random batches, each distorted afresh; the rate climbs to `rate` and falls to nothing.

    That cycle lets few steps go far: L. N. Smith, N. Topin, "Super-convergence", arXiv 1708.07120.

    `seed` decides which images and which distortions are drawn, in which order; the model starts as it is given.
    `progress(step, loss)` is called after each step, from 1 on. Raises `InputError` without steps or images.
    """
    require(steps >= 1, "steps", expected="1 or more", given=steps)
    require(batch >= 1, "batch", expected="1 or more", given=batch)
    require(len(data.labels) > 0, "training needs images, got none")
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), rate)
    schedule = OneCycleLR(optimizer, rate, total_steps=steps)
    model.train()
    for step in range(1, steps + 1):
        drawn = torch.randint(len(data.labels), (batch,), generator=generator)
        scores = model(distortion(data.images[drawn], generator))
        loss = functional.cross_entropy(scores, data.labels[drawn])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step, loss.item())


def distorted_test(
    data: Labelled, distortion: Distortion, times: int = 2
) -> tuple[Float[Tensor, "M C H W"], Int64[Tensor, " M"]]:
    """Every image distorted in `times` ways, and its labels; they are always the same ones.

    Several ways make the error less a matter of which angles a digit met.
    """
    generator = torch.Generator().manual_seed(_TEST_SEED)
    images = [distortion(data.images, generator) for _ in range(times)]
    return torch.cat(images), data.labels.repeat(times)


@torch.no_grad()
def error_rate(model: nn.Module, images: Float[Tensor, "M C H W"], labels: Int64[Tensor, " M"]) -> float:
    """The share of images, 0 … 1, whose highest score is another class than their label."""
    require(len(labels) > 0, "an error rate needs images, got none")
    model.eval()
    wrong = 0
    for start in range(0, len(labels), _EVALUATED):
        part = slice(start, start + _EVALUATED)
        wrong += int((model(images[part]).argmax(1) != labels[part]).sum())
    return wrong / len(labels)
