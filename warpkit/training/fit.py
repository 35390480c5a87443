"""One run: a plan is trained, kept after every epoch, and tested at the end."""

import functools
import logging
import os
import platform
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from warpkit.distribution import our_version
from warpkit.errors import InputError, require, unknown
from warpkit.quoting import reason
from warpkit.spec.files import load, save
from warpkit.training.bar import Bar
from warpkit.training.checkpoints import BEFORE, CheckpointWarning, TwoFiles, find_checkpoint, restoring
from warpkit.training.experiment import Plan
from warpkit.training.keeper import Keeper
from warpkit.training.learner import Batches, Learner
from warpkit.training.on_cpu import quick_on_cpu
from warpkit.training.resume import check_same
from warpkit.training.runs import CHECKPOINT, RESULT, RUN, WEIGHTS, Run, number
from warpkit.training.timing import step_shares
from warpkit.watching.watch import TransformerWarning

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


class Fitting:
    """The machine and the way to train on it, in Lightning's words; called with a plan, it makes a run."""

    def __init__(
        self,
        *,
        accelerator: str = "auto",
        devices: int = 1,
        strategy: str = "auto",
        precision: str | None = None,
        workers: int = 0,
        progress: bool = True,
    ) -> None:
        precision = precision or _precision(accelerator)
        if precision not in PRECISIONS:
            raise unknown("precision", precision, PRECISIONS)
        self.accelerator, self.devices, self.strategy = accelerator, devices, strategy
        self.precision, self.workers, self.progress = precision, workers, progress

    def __call__(self, plan: Plan, seed: int, out: str | Path) -> dict[str, Any]:
        """Train, or go on where the run was stopped, and return its result; one that has ended is only read.

        The folder is `<out>/<experiment>/<model>/<seed>`. What a run lacks that was stopped after its result, how its
        time is shared out, is measured then. Where the last checkpoint is damaged, the run goes on from the one before
        and warns. Raises `InputError` where the folder holds a run with other settings, or damaged checkpoints only, or
        where another process trains it, and `KeyboardInterrupt` where it was stopped.
        """
        run = Run(Path(out) / plan.experiment / plan.model / str(seed))
        asked = {**plan.asked(seed), "precision": self.precision}
        check_same(run, asked)
        if (done := run.result) is not None:
            told = f"{run.folder / RESULT} does not say the error"
            require(number(done.get("error")) is not None, told, hint="take it away to go on")
            if "shares" in done or not (run.folder / WEIGHTS).is_file():
                return done
        even = f"training.batch: {plan.training.batch} images cannot be shared by {self.devices} devices evenly"
        require(plan.training.batch % self.devices == 0, even)
        task, model = plan.task(), plan.build(seed) if done is None else load(run.folder / WEIGHTS)
        learner, keeper = Learner(model, task, plan.training, seed), Keeper(run, model)
        trainer = self._trainer(plan, run, keeper)
        device = trainer.strategy.root_device
        if device.type == "cpu":
            quick_on_cpu(model)
        with run.held() if trainer.is_global_zero else nullcontext(), _quiet():
            require(run.result == done, f"{run.folder} was trained by another process meanwhile")
            if trainer.is_global_zero and not (run.folder / RUN).exists():
                facts = {"parameters": sum(p.numel() for p in model.parameters()), "train_images": task.train_images}
                run.write(RUN, {**asked, "command": self._command(plan, seed), **facts, **self._circumstances(device)})
            result = done or self._train(trainer, learner, keeper)
            with trainer.precision_plugin.forward_context():
                result |= step_shares(task, plan.training.batch // self.devices, model, device)
            if trainer.is_global_zero:
                run.write(RESULT, result)
        return result

    def _train(self, trainer: Trainer, learner: Learner, keeper: Keeper) -> dict[str, Any]:
        """Train, test, and keep the weights and the result."""
        run, task, training = keeper.run, learner.task, learner.how
        batches = Batches(task, training.batch, learner.seed, self.workers)
        if trainer.is_global_zero:
            find_checkpoint(run, learner.state_dict())
        # Of another process the first may be moving the one before at this moment: in this order none is missed.
        goes_on = any((run.folder / name).is_file() for name in (BEFORE, CHECKPOINT))
        try:
            with restoring(run, keeper):
                ckpt_path = run.folder / CHECKPOINT if goes_on else None
                trainer.fit(learner, batches, ckpt_path=ckpt_path, weights_only=True)
            (test,) = trainer.test(learner, batches, verbose=False)
        except SystemExit as stop:  # what Lightning makes of Ctrl-C and of SIGTERM
            raise KeyboardInterrupt from stop
        measured = {name.removeprefix("test/"): round(value, 6) for name, value in test.items()}
        result = {
            "error": measured.pop("error"),
            "loss": measured.pop("loss"),
            **({"measured": measured} if measured else {}),
            "tested_on": task.tested_on,
            "test_images": task.test_images,
            "epochs": training.epochs,
            "seconds": round(keeper.seconds, 1),
            "warnings": keeper.warned,
        }
        if trainer.is_global_zero:
            run.write_metrics(keeper.rows)  # a run that was stopped after its last epoch may have lost them
            save(learner.model, run.folder / WEIGHTS)
            run.write(RESULT, result)  # before anything is timed: no result is lost for that
        return result

    def _command(self, plan: Plan, seed: int) -> str:
        given = {"accelerator": self.accelerator, "devices": self.devices, "strategy": self.strategy}
        usual = {"accelerator": "auto", "devices": 1, "strategy": "auto"}
        more = [f" --{name} {value}" for name, value in given.items() if value != usual[name]]
        return f"{plan.command(seed)} --precision {self.precision}{''.join(more)}"

    def _circumstances(self, device: torch.device) -> dict[str, Any]:
        machine = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
        where = torch.cuda.get_device_name(device) if device.type == "cuda" else machine
        each = "" if self.devices == 1 else f"{self.devices} × "
        return {"warpkit": our_version(), "torch": torch.__version__, "machine": f"{each}{where}"}

    def _trainer(self, plan: Plan, run: Run, keeper: Keeper) -> Trainer:
        training = plan.training
        callbacks: list[Callback] = [
            keeper,
            ModelCheckpoint(
                run.folder, CHECKPOINT.removesuffix(".ckpt"), save_on_train_epoch_end=True, enable_version_counter=False
            ),
        ]
        if self.progress:
            callbacks.append(Bar(f"{plan.experiment}/{plan.model}/{run.folder.name}"))
        with _quiet():
            try:
                return Trainer(
                    accelerator=self.accelerator,
                    devices=self.devices,
                    strategy=self.strategy,
                    precision=self.precision,  # type: ignore[arg-type]
                    max_epochs=training.epochs,
                    gradient_clip_val=training.clip,
                    num_sanity_val_steps=0,
                    use_distributed_sampler=False,  # a batch's share is drawn by us
                    enable_model_summary=False,
                    enable_progress_bar=False,  # theirs begins anew with every epoch
                    logger=TensorBoardLogger(run.folder, name="", version="tensorboard"),
                    callbacks=callbacks,
                    plugins=[TwoFiles()],
                )
            except (MisconfigurationException, ValueError, RuntimeError) as error:  # no such accelerator, strategy …
                raise InputError(f"this cannot be trained here: {reason(error)}") from error


def _precision(accelerator: str) -> str:
    """The precision to train in: mixed where the hardware has it."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    return "32-true"


def _show(otherwise: Callable[..., None], message: Warning | str, category: type[Warning], *where: Any) -> None:
    ours = issubclass(category, TransformerWarning | CheckpointWarning)
    if ours and os.environ.get("LOCAL_RANK", "0") == "0":
        Console(stderr=True, soft_wrap=True).print(f"warning: {message}", style="yellow", markup=False, highlight=False)
    elif not ours:
        otherwise(message, category, *where)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advice on workers and loggers, so that warnings of a watch stand out."""
    said = logging.getLogger("lightning.pytorch")
    level = said.level
    said.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.showwarning = functools.partial(_show, warnings.showwarning)
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*Checkpoint directory.*")
        try:
            yield
        finally:
            said.setLevel(level)
