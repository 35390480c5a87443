"""A task and a model in the form that Lightning takes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR
from torch.utils.data import DataLoader, Dataset, Sampler

from warpkit.errors import require
from warpkit.training.experiment import Training
from warpkit.training.tasks.base import Half, Raw, Task
from warpkit.watching.parameter_groups import parameter_groups
from warpkit.watching.penalty import Penalty
from warpkit.watching.transformers import transformers_in

_TESTED = 500  # images at a time


class Shares(Sampler[tuple[Tensor, Tensor]]):
    """The images that this process trains on in each step of an epoch, and the random numbers drawn for them.

    The order and the draws are those of the whole batch, from the seed and the epoch alone: whatever the number of
    processes, and wherever a training was stopped, the batches are the same.
    """

    def __init__(self, task: Task, batch: int, seed: int, rank: int, world: int) -> None:
        require(batch % world == 0, f"training.batch: {batch} images cannot be shared by {world} processes evenly")
        self.task, self.batch, self.seed, self.rank, self.world = task, batch, seed, rank, world
        self.epoch = 0

    def __len__(self) -> int:
        """The number of batches in an epoch, whole ones only."""
        return self.task.train_images // self.batch

    def set_epoch(self, epoch: int) -> None:
        """Take the number of the epoch, which Lightning tells before it begins."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Int64[Tensor, " n"], Float[Tensor, "n L"]]]:
        """This process's share of each batch."""
        generator = torch.Generator().manual_seed(mixed(self.seed, self.epoch))
        order = torch.randperm(self.task.train_images, generator=generator)
        for start in range(0, len(self) * self.batch, self.batch):
            drawn = self.task.draw(self.batch, generator)
            yield order[start : start + self.batch][self.rank :: self.world], drawn[self.rank :: self.world]


class _Half(Dataset[Raw]):
    def __init__(self, task: Task, half: Half) -> None:
        self.task, self.half = task, half

    def __getitem__(self, share: Any) -> Raw:
        return self.task.take(self.half, *share)


class Batches(LightningDataModule):
    """Batches of a task, distorted on the device that trains."""

    def __init__(self, task: Task, batch: int, seed: int, workers: int = 0) -> None:
        super().__init__()
        self.task, self.batch, self.seed, self.workers = task, batch, seed, workers

    def train_dataloader(self) -> DataLoader[Raw]:
        """A loader of this process's share of each batch."""
        rank, world = self._process()
        shares = Shares(self.task, self.batch, self.seed, rank, world)
        return self._loader("train", shares)

    def val_dataloader(self) -> DataLoader[Raw] | list[Any]:
        """A loader of the test half, where the task validates on it; else none."""
        return self.test_dataloader() if self.task.validates else []

    def test_dataloader(self) -> DataLoader[Raw]:
        """A loader of the test half, which is always distorted in the same way."""
        rank, world = self._process()
        drawn, indices = self.task.test_draws(), torch.arange(self.task.test_images)
        starts = range(0, len(drawn), _TESTED)
        shares = [slice(start + rank, start + _TESTED, world) for start in starts]
        return self._loader("test", [(indices[share], drawn[share]) for share in shares])

    def on_after_batch_transfer(self, batch: Raw, dataloader_idx: int) -> Any:
        """Prepare the batch on the device that trains, which distorts it."""
        return self.task.prepare(batch)

    def _loader(self, half: Half, shares: Any) -> DataLoader[Raw]:
        return DataLoader(_Half(self.task, half), batch_size=None, sampler=shares, num_workers=self.workers)

    def _process(self) -> tuple[int, int]:
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer is not None else (0, 1)


class Learner(LightningModule):
    """A model that learns a task."""

    def __init__(self, model: nn.Module, task: Task, training: Training, seed: int) -> None:
        super().__init__()
        self.model, self.task, self.how, self.seed = model, task, training, seed
        has_transformer = bool(transformers_in(model))
        priced = has_transformer and training.outside + training.folds > 0  # else nothing that could fold
        self.penalty = Penalty(model, outside=training.outside, folds=training.folds) if priced else None
        self._sums: dict[str, tuple[Tensor, int]] = {}  # over the images of an epoch so far, and how many they are

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed dropout by the epoch, so that a run that was stopped goes on as it would have.

        Not in `on_train_epoch_start`, which Lightning leaves out in the first epoch of a run that goes on.
        """
        if batch_idx == 0:
            torch.manual_seed(mixed(self.seed, self.current_epoch, self.global_rank))

    def training_step(self, batch: Any, index: int) -> Tensor:
        """The loss of a batch, with the penalties for leaving the image and for folding it."""
        loss = self._step("train", batch)
        return loss if self.penalty is None else loss + self.penalty()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the epoch's means with its last batch, before the callbacks of its end read them."""
        if self.trainer.is_last_batch:
            self._log_means()

    def validation_step(self, batch: Any, index: int) -> None:
        """Note the loss and the error on validation images."""
        self._step("valid", batch)

    def on_validation_epoch_end(self) -> None:
        """Log the means over the validation images."""
        self._log_means()

    def test_step(self, batch: Any, index: int) -> None:
        """Note the loss, the error and what else the task measures on test images."""
        self._step("test", batch)
        for name, values in self.task.measures(self.model, batch).items():
            self._note(f"test/{name}", values.mean(), len(values))

    def on_test_epoch_end(self) -> None:
        """Log the means over the test images."""
        self._log_means()

    def _step(self, stage: str, batch: Any) -> Tensor:
        loss, errors = self.task.step(self.model, batch)
        self._note(f"{stage}/loss", loss.detach(), len(errors))
        self._note(f"{stage}/error", errors.mean(), len(errors))
        return loss

    def _note(self, name: str, value: Tensor, count: int) -> None:
        if count > 0:  # a process may have no share of the last batch
            total, images = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + value * count, images + count

    def _log_means(self) -> None:
        """Log what was noted: Lightning takes a millisecond for each value it is given, so it gets one an epoch."""
        for name in list(self._sums):
            total, images = self._sums.pop(name)
            self.log(name, total / images, on_step=False, on_epoch=True, sync_dist=True, batch_size=images)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimizer and the schedule that `[training]` asks for."""
        how = self.how
        on_cpu = all(parameter.device.type == "cpu" for parameter in self.parameters())  # where nothing else is quick
        groups = parameter_groups(self.model, how.rate, localization=how.localization)
        optimizer: torch.optim.Optimizer = (
            torch.optim.AdamW(groups, weight_decay=how.weight_decay, fused=on_cpu)
            if how.optimizer == "adam"
            else torch.optim.SGD(groups, momentum=0.9, nesterov=True, weight_decay=how.weight_decay)
        )
        steps = how.epochs * (self.task.train_images // how.batch)
        schedule = _schedule(how, optimizer, steps)
        if schedule is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _schedule(how: Training, optimizer: torch.optim.Optimizer, steps: int) -> LRScheduler | None:
    if how.schedule == "one_cycle":
        return OneCycleLR(optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=steps)
    if how.schedule == "cosine":
        return CosineAnnealingLR(optimizer, steps)
    falls = [steps * (i + 1) // (how.drops + 1) for i in range(how.drops)]
    return MultiStepLR(optimizer, falls) if how.schedule == "steps" else None


def mixed(*numbers: int) -> int:
    """One seed made of several, so that those of neighbours have nothing in common."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
