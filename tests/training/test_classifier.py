import pytest
import torch
from torch import nn

from warpkit.datasets import Labelled, get_distortion
from warpkit.datasets.distortions import Rotate
from warpkit.errors import InputError
from warpkit.training import distorted_test, error_rate, train

rotate = get_distortion("r")


def bars(n: int = 40) -> Labelled:
    """Two classes that no turn makes alike: a spot in the middle, and an empty image."""
    labels = torch.arange(n) % 2
    images = torch.zeros(n, 1, 28, 28)
    images[:, :, 10:18, 10:18] = labels[:, None, None, None].float()
    return Labelled(images, labels)


def linear(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 2))


def trained(**how) -> nn.Module:
    model = linear()
    train(model, bars(), rotate, **{"steps": 30, "seed": 0} | how)
    return model


def test_a_classifier_learns_what_can_be_told_apart():
    images, labels = distorted_test(bars(), rotate)
    assert error_rate(trained(), images, labels) == 0


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, again, other = trained()[1].weight, trained()[1].weight, trained(seed=1)[1].weight
    assert first.equal(again)
    assert not first.equal(other)


def test_training_leaves_the_global_random_state_alone():
    before = torch.random.get_rng_state()
    trained()
    assert torch.random.get_rng_state().equal(before)


def test_progress_hears_of_each_step_and_of_a_falling_loss():
    heard: list[tuple[int, float]] = []
    trained(progress=lambda step, loss: heard.append((step, loss)))
    assert [step for step, _ in heard] == list(range(1, 31))
    assert heard[-1][1] < heard[0][1] / 2


def test_every_batch_is_distorted_afresh():
    seen = []

    class Watched(Rotate):
        """A distortion that remembers what it gave."""

        def apply(self, images, drawn, others):
            seen.append(super().apply(images, drawn, others))
            return seen[-1]

    spot = Labelled(bars().images[1:2], bars().labels[1:2])  # one image alone: only its turn can differ
    train(linear(), spot, Watched(), steps=3, seed=0, batch=4)
    turned = torch.cat(seen)
    assert len({image.numpy().tobytes() for image in turned}) == 12


def test_the_error_rate_is_the_share_of_wrong_answers():
    class First(nn.Module):
        """Says what the first pixel says."""

        def forward(self, images):
            return nn.functional.one_hot(images[:, 0, 0, 0].long(), 3).float()

    images = torch.zeros(8, 1, 2, 2)
    images[:, 0, 0, 0] = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    assert error_rate(First(), images, torch.tensor([0, 1, 2, 0, 1, 1, 1, 0])) == 3 / 8


def test_the_test_set_is_always_the_same_with_several_distortions_of_each_image():
    images, labels = distorted_test(bars(6), rotate, times=3)
    again, _ = distorted_test(bars(6), rotate, times=3)
    assert images.equal(again)
    assert labels.tolist() == [0, 1] * 9
    assert not images[1].equal(images[7])


@pytest.mark.parametrize(
    ("how", "complaint"), [({"steps": 0}, "steps: expected 1 or more, got 0"), ({"batch": 0}, "batch")]
)
def test_what_cannot_be_trained_is_refused(how, complaint):
    with pytest.raises(InputError, match=complaint):
        trained(**how)


def test_no_images_are_refused():
    with pytest.raises(InputError, match="needs images"):
        train(linear(), bars(0), rotate, steps=1, seed=0)
    with pytest.raises(InputError, match="needs images"):
        error_rate(linear(), *bars(0))
