"""The check whether a run may go on in a folder that holds one already."""

from typing import Any

from warpkit.errors import InputError, quoted, require
from warpkit.training.defaults import filled
from warpkit.training.runs import CHECKPOINT, RESULT, RUN, WEIGHTS, Run

_DECIDES = ("experiment", "model", "seed", "data", "training", "weights", "spec", "precision")
_HINT = "Give another --out, or take that folder away."


def check_same(run: Run, asked: dict[str, Any]) -> None:
    """Raise `InputError` unless the folder is new, or holds a run of just these settings."""
    if not (run.folder / RUN).is_file():
        left = [name for name in (CHECKPOINT, RESULT, WEIGHTS) if (run.folder / name).exists()]
        require(not left, f"{run.folder} holds {', '.join(left)}, but no {RUN} that says of what", hint=_HINT)
        return
    before = {"weights": {}, **filled(run.asked)}  # runs that are older than this fact had no such files
    for name in _DECIDES:
        if before.get(name) != asked[name]:
            what = _differs(name, before.get(name), asked[name])
            raise InputError(f"{run.folder} holds a run with other settings: {what}", hint=_HINT)


def _differs(path: str, before: Any, now: Any) -> str:
    if isinstance(before, dict) and isinstance(now, dict):
        for name in {**before, **now}:
            if before.get(name) != now.get(name):
                return _differs(f"{path}.{name}", before.get(name), now.get(name))
    return f"{path} was {quoted(before)}, is {quoted(now)}"
