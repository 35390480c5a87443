"""The records of a run, kept while it is trained."""

import math
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from warpkit.errors import require
from warpkit.training.runs import CHECKPOINT, Run
from warpkit.watching.transformers import transformers_in
from warpkit.watching.watch import watch


class Keeper(Callback):
    """The course of a run in its checkpoint and in `metrics.csv`: epoch by epoch, with its transformers' figures."""

    def __init__(self, run: Run, model: nn.Module) -> None:
        has_transformer = bool(transformers_in(model))
        self.run, self.watch = run, watch(model) if has_transformer else None
        self.rows: list[dict[str, float]] = []
        self.seconds = 0.0
        self.has_begun = False
        self._since = 0.0

    @property
    def warned(self) -> list[str]:
        """The warnings of the watch so far."""
        return self.watch.warnings if self.watch else []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Raise `InputError` where the checkpoint, which was loaded by now, did not hold all of a run."""
        if self.rows:
            last = self.rows[-1]
            whole = (
                (trainer.current_epoch, trainer.global_step) == (last["epoch"], last["step"])
                and all(optimizer.state for optimizer in trainer.optimizers)
                and all(config.scheduler.last_epoch > 0 for config in trainer.lr_scheduler_configs)
            )
            require(
                whole, f"{self.run.folder / CHECKPOINT} does not hold all of a run", hint="take it away to begin again"
            )
        self.has_begun = True

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Start the clock with the first batch of an epoch."""
        if batch_idx == 0:
            self._since = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's row. Raises `InputError`, before that, where the training has diverged."""
        self.seconds += time.perf_counter() - self._since
        measured = {name: float(value) for name, value in trainer.callback_metrics.items()}
        epoch = trainer.current_epoch + 1
        loss = f"{self.run.folder}: the loss of epoch {epoch} is {measured['train/loss']}"
        require(math.isfinite(measured["train/loss"]), loss, hint="try a smaller training.rate, or training.clip")
        seen = self.watch.metrics() if self.watch else {}
        row = {"epoch": epoch, "step": trainer.global_step, "seconds": self.seconds}
        self.rows.append({**row, **measured, **seen})
        if trainer.is_global_zero:
            self.run.write_metrics(self.rows)
            for logger in trainer.loggers:
                logger.log_metrics(seen, trainer.global_step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the watch, which judges its last measurement."""
        if self.watch:
            self.watch.close()

    def state_dict(self) -> dict[str, Any]:
        """The rows, the seconds and the watch's state, for a checkpoint."""
        seen = self.watch.state_dict() if self.watch else {}
        return {"rows": self.rows, "seconds": self.seconds, "watch": seen}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the state from a checkpoint."""
        self.rows, self.seconds = state_dict["rows"], state_dict["seconds"]
        if self.watch:
            self.watch.load_state_dict(state_dict["watch"])
