"""The two latest checkpoints of a run: where one is damaged, that is noticed, and the one before serves."""

import contextlib
import os
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from torch import Tensor

from warpkit.errors import InputError, require
from warpkit.files import written_whole
from warpkit.training.keeper import Keeper
from warpkit.training.runs import CHECKPOINT, Run

BEFORE = "before.ckpt"
_PARTS = ("epoch", "global_step", "pytorch-lightning_version", "state_dict", "loops", "callbacks", "optimizer_states",
          "lr_schedulers")  # fmt: skip
_ANEW = "take it away to begin again"


class CheckpointWarning(UserWarning):
    """A run goes on from an earlier checkpoint than its last."""


class TwoFiles(TorchCheckpointIO):
    """The writing of checkpoints, each whole or not at all, on any file system; the one before is kept."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Save the checkpoint; once it is complete, the last one becomes the one before."""
        path = Path(path)
        with written_whole(path) as draft:
            try:
                torch.save(checkpoint, draft)
            except RuntimeError as error:  # what torch makes of a disk that is full
                raise OSError(str(error).splitlines()[0]) from error
            with contextlib.suppress(FileNotFoundError):  # the first
                os.replace(path, path.with_name(BEFORE))


def find_checkpoint(run: Run, weights: Mapping[str, Tensor]) -> bool:
    """Whether there is a checkpoint to go on from, which is `last.ckpt` then.

    Where that is damaged or gone, the one before takes its place, with a warning. Raises `InputError` where none of
    them can be read, and for one that lacks something or holds other weights.
    """
    last, before = run.folder / CHECKPOINT, run.folder / BEFORE
    troubles = []
    for file in (last, before):
        if not file.is_file():
            continue
        try:
            held = _read(file)
        except Exception as error:  # zipfile and torch have many for a file that is damaged
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            troubles.append(f"{file} cannot be read ({told})")
            continue
        _check(file, held, weights)
        if file == before:
            why = "".join(troubles) or f"{last} is not there"
            epochs = len(held["callbacks"]["Keeper"]["rows"])
            goes_on = f"the run goes on from the checkpoint before, after epoch {epochs}"
            warnings.warn(f"{why}: {goes_on}", CheckpointWarning, stacklevel=2)
            os.replace(before, last)
        return True
    anew = f"take {'it' if len(troubles) == 1 else 'them'} away to begin again"
    require(not troubles, "; ".join(troubles), hint=anew)
    return False


@contextlib.contextmanager
def restoring(run: Run, keeper: Keeper) -> Iterator[None]:
    """Tell a checkpoint that lacks something as an `InputError`: Lightning notices it only when training starts."""
    try:
        yield
    except InputError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        file = run.folder / CHECKPOINT
        if keeper.has_begun or not file.is_file():
            raise
        told = f"{type(error).__name__}: {error}"
        raise InputError(f"{file} does not hold all of a run ({told})", hint=_ANEW) from error


def _read(file: Path) -> Any:
    """The contents of a checkpoint; an error for a wrong check sum, which torch writes and does not compare."""
    with zipfile.ZipFile(file) as archive:
        wrong = archive.testzip()
    require(wrong is None, f"{wrong} is damaged")
    return torch.load(file, map_location="cpu", weights_only=True)


def _check(file: Path, held: Any, weights: Mapping[str, Tensor]) -> None:
    """Raise `InputError` unless it is a checkpoint of a run, and its weights have these names and shapes."""
    parts = held if isinstance(held, dict) else {}
    callbacks = parts.get("callbacks")
    kept = callbacks.get("Keeper") if isinstance(callbacks, dict) else None
    rows = kept.get("rows") if isinstance(kept, dict) else None
    missing = [part for part in _PARTS if part not in parts] + ["rows"] * (not isinstance(rows, list))
    require(not missing, f"{file} is no checkpoint of a run: it lacks {', '.join(missing)}", hint=_ANEW)
    found = parts["state_dict"] if isinstance(parts["state_dict"], dict) else {}
    shapes = {name: value.shape for name, value in found.items() if isinstance(value, Tensor)}
    same = shapes == {name: value.shape for name, value in weights.items()} and len(found) == len(shapes)
    require(same, f"{file} holds the weights of another model", hint=_ANEW)
