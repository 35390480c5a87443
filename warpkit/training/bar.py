"""A progress bar of a whole run: Lightning's own begins anew with every epoch."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar(Callback):
    """A progress bar of the whole run."""

    def __init__(self, name: str) -> None:
        name = escape(name)
        columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}")]
        console = Console(stderr=True)
        self.bar = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)
        self.line = self.bar.add_task(name, state="")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar, beginning where the run goes on."""
        if trainer.is_global_zero:
            self.bar.update(self.line, total=trainer.estimated_stepping_batches, completed=trainer.global_step)
            self.bar.start()

    def on_train_batch_end(self, trainer: Trainer, *others: Any) -> None:
        """Move the bar on by a step."""
        self.bar.update(self.line, completed=trainer.global_step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the epoch and its error beside the bar."""
        error = trainer.callback_metrics.get("valid/error", trainer.callback_metrics.get("train/error"))
        state = f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
        self.bar.update(self.line, state=state if error is None else f"{state}, error {float(error):.2%}")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the bar and leave it as it is."""
        self.bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stop the bar, so that the terminal is as it was."""
        self.bar.stop()
