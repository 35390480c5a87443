"""A folder that holds a run already: may this one go on in it?"""

from typing import Any

import torch
from torch import Tensor

from warpkit.errors import InputError, quoted, require
from warpkit.training.defaults import filled
from warpkit.training.runs import CHECKPOINT, RESULT, RUN, WEIGHTS, Run

_DECIDES = ("experiment", "model", "seed", "data", "training", "weights", "spec", "precision")
_HINT = "Give another --out, or take that folder away."


def check_same(run: Run, asked: dict[str, Any]) -> None:
    """Raise `InputError` unless the folder is new, or holds a run of just what is asked for."""
    if not (run.folder / RUN).is_file():
        left = [name for name in (CHECKPOINT, RESULT, WEIGHTS) if (run.folder / name).exists()]
        require(not left, f"{run.folder} holds {', '.join(left)}, but no {RUN} that says of what. {_HINT}")
        return
    before = {"weights": {}, **filled(run.asked)}  # runs that are older than this fact had no such files
    for name in _DECIDES:
        if before.get(name) != asked[name]:
            what = _differs(name, before.get(name), asked[name])
            raise InputError(f"{run.folder} holds a run with other settings: {what}. {_HINT}")


def check_checkpoint(run: Run, weights: dict[str, Tensor]) -> bool:
    """Whether there is one to go on from. Raises `InputError` for one that is damaged or holds other weights."""
    file = run.folder / CHECKPOINT
    if not file.is_file():
        return False
    try:
        held = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    except Exception as error:  # torch has many for a file that is cut off
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{file} cannot be read ({told}): take it away to begin again") from error
    same = {name: value.shape for name, value in held.items()} == {n: w.shape for n, w in weights.items()}
    require(same, f"{file} holds the weights of another model: take it away to begin again")
    return True


def _differs(path: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in {**before, **now}:
            if before.get(name) != now.get(name):
                return _differs(f"{path}.{name}", before.get(name), now.get(name))
    return f"{path} was {quoted(before)}, is {quoted(now)}"
