"""Options for runs that are older than these options: such runs were trained with their defaults."""

from collections.abc import Mapping
from typing import Any

from warpkit.training.experiment import Training
from warpkit.training.tables import Table
from warpkit.training.tasks import TASKS


def filled(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run, with every option of `[data]` and `[training]` that there is today."""
    data = asked.get("data")
    kind = data.get("type", "digits") if isinstance(data, dict) else None
    kinds: dict[str, type[Table]] = {"training": Training}
    if isinstance(kind, str) and kind in TASKS:
        kinds["data"] = TASKS[kind][0]
    tables = {name: asked[name] for name in kinds if isinstance(asked.get(name), dict)}
    return {**asked, **{name: {**_defaults(kinds[name]), **table} for name, table in tables.items()}}


def _defaults(kind: type[Table]) -> dict[str, Any]:
    return {name: field.get_default() for name, field in kind.model_fields.items() if not field.is_required()}
