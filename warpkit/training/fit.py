"""One run: a plan is trained, kept after every epoch, tested at the end."""

import functools
import logging
import os
import platform
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from warpkit.errors import InputError, quoted, require
from warpkit.files import written_whole
from warpkit.modules.watch import TransformerWarning
from warpkit.spec.files import save
from warpkit.training.bar import Bar
from warpkit.training.experiment import Plan
from warpkit.training.keeper import Keeper
from warpkit.training.learner import Batches, Learner
from warpkit.training.runs import CHECKPOINT, RESULT, RUN, WEIGHTS, Run
from warpkit.training.timing import step_shares

_DECIDES = ("experiment", "model", "seed", "data", "training", "spec")  # what a run that goes on must agree in


class Fitting:
    """How and on what machine runs are trained: Lightning's words."""

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
        self.accelerator, self.devices, self.strategy = accelerator, devices, strategy
        self.precision, self.workers, self.progress = precision or _precision(accelerator), workers, progress

    def __call__(self, plan: Plan, seed: int, out: Path) -> dict[str, Any]:
        """Train, or go on where a run was stopped; the result of one that has ended already.

        The folder is `<out>/<experiment>/<model>/<seed>`. Raises `InputError` where it holds a run with other settings.
        """
        run = Run(out / plan.experiment / plan.model / str(seed))
        asked = plan.asked(seed)
        _check_same(run, asked)
        if (done := run.result) is not None:
            return done
        task = plan.task()
        few = f"training.batch: {plan.training.batch} is more than the {task.train_images} images there are to train on"
        require(plan.training.batch <= task.train_images, few)
        model = plan.build(seed)
        learner = Learner(model, task, plan.training, seed)
        keeper = Keeper(run, model)
        trainer = self._trainer(plan, run, keeper)
        if trainer.is_global_zero:
            facts = {"parameters": sum(p.numel() for p in model.parameters()), "train_images": task.train_images}
            run.write(RUN, {**asked, "command": plan.command(seed), **facts, **_circumstances()})
        checkpoint = run.folder / CHECKPOINT
        batches = Batches(task, plan.training.batch, seed, self.workers)
        with _quiet():
            try:
                trainer.fit(learner, batches, ckpt_path=checkpoint if checkpoint.is_file() else None, weights_only=True)
            except SystemExit as stop:  # what Lightning makes of Ctrl-C and of SIGTERM
                raise KeyboardInterrupt from stop
            (tested,) = trainer.test(learner, batches, verbose=False)
        result = {
            "error": round(tested["test/error"], 6),
            "loss": round(tested["test/loss"], 6),
            "tested_on": task.tested_on,
            "test_images": task.test_images,
            "epochs": plan.training.epochs,
            "seconds": round(keeper.seconds, 1),
            "warnings": keeper.warned,
            **step_shares(task, plan.training.batch, model, trainer.strategy.root_device),
        }
        if trainer.is_global_zero:
            save(model, run.folder / WEIGHTS)
            run.write(RESULT, result)
        return result

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
                plugins=[_WholeFiles()],
            )


class _WholeFiles(TorchCheckpointIO):
    """A checkpoint appears whole or not at all, whatever file system it is on."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        with written_whole(Path(path)) as draft:
            torch.save(checkpoint, draft)


def _check_same(run: Run, asked: dict[str, Any]) -> None:
    if not (run.folder / RUN).is_file():
        return
    before = run.asked
    for name in _DECIDES:
        if before.get(name) != asked[name]:
            raise InputError(
                f"{run.folder} holds a run with other settings: {_differs(name, before.get(name), asked[name])}."
                " Give another --out, or take that folder away."
            )


def _differs(path: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in {**before, **now}:
            if before.get(name) != now.get(name):
                return _differs(f"{path}.{name}", before.get(name), now.get(name))
    return f"{path} was {quoted(before)}, is {quoted(now)}"


def _precision(accelerator: str) -> str:
    """Mixed where the hardware has it."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    return "32-true"


def _circumstances() -> dict[str, Any]:
    return {
        "warpkit": version("warpkit"),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
    }


def _show(otherwise: Callable[..., None], message: Warning | str, category: type[Warning], *where: Any) -> None:
    if issubclass(category, TransformerWarning):
        Console(stderr=True, soft_wrap=True).print(f"warning: {message}", style="yellow", markup=False, highlight=False)
    else:
        otherwise(message, category, *where)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice to use more workers and other loggers; what a watch has to say stands out."""
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
