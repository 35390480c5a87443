"""Pictures of an experiment's transformers at work, from the weights that its runs have kept."""

from collections.abc import Callable

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from warpkit.errors import InputError, require
from warpkit.modules.spatial_transformer import SpatialTransformer
from warpkit.spec.files import load
from warpkit.training.pictures import side_by_side
from warpkit.training.report.results import Record, Results, plain
from warpkit.training.runs import WEIGHTS, Run
from warpkit.watching.transformers import transformers_in

Examples = Callable[[Run], tuple[Tensor, list[str]]]


def looks(results: Results, experiment: str, examples: Examples) -> tuple[Figure | None, list[str]]:
    """A picture of each model's first transformer at work, and a note on each one that is left out.

    `examples`: images of a run's test, [N, C, H, W], and a caption for each. Of a model's seeds the first is taken that
    has weights.
    """
    models, left_out = _with_weights(results, experiment)
    transformers: dict[str, SpatialTransformer] = {}
    if not models:
        return None, left_out
    first = next(iter(models.values()))
    try:
        require("data" in first.facts, "the run does not say what it was tested on")
        images, captions = examples(first.run)
        require(images.ndim == 4, f"its images have {images.ndim - 2} axes, a picture has 2")
    except InputError as error:
        return None, [*left_out, plain(f"{results.experiments[experiment]}: {error}")]
    for label, record in models.items():
        if "inputs" in record.table("spec"):
            left_out.append(plain(f"{results.experiments[experiment]}, {label}: a network of several images"))
            continue
        try:
            transformers[label] = _first_transformer(load(record.run.folder / WEIGHTS), images)
        except (InputError, RuntimeError, TypeError) as error:  # weights of another run, say
            left_out.append(plain(f"{results.experiments[experiment]}, {label}: {error}"))
    return (side_by_side(transformers, images, captions) if transformers else None), left_out


def _with_weights(results: Results, experiment: str) -> tuple[dict[str, Record], list[str]]:
    """The first run of each model with a transformer that has kept its weights, by label; and models without."""
    found, without = {}, []
    for model, label in results.models.items():
        runs = [r for r in results.cell(experiment, model) if r.ended and _has_transformer(r.facts.get("spec"))]
        kept = [r for r in runs if (r.run.folder / WEIGHTS).is_file()]
        if kept:
            found[label] = kept[0]
        elif runs:
            without.append(f"{results.experiments[experiment]}, {label}: no {WEIGHTS} has been kept")
    return found, without


def _has_transformer(spec: object) -> bool:
    return "'spatial_transformer'" in repr(spec)


@torch.no_grad()
def _first_transformer(model: nn.Module, images: Tensor) -> SpatialTransformer:
    """The transformer that looks at the image itself; behind other layers, its grid would not lie on the image."""
    transformer = next(iter(transformers_in(model).values()))
    seen: list[bool] = []

    def look(_: nn.Module, given: tuple[Tensor, ...], more: dict[str, object]) -> None:
        seen.append(len(given) == 1 and not more and torch.equal(given[0], images))

    with transformer.register_forward_pre_hook(look, with_kwargs=True):
        model.eval()(images)
    require(all(seen) and len(seen) > 0, "its transformer looks at something else than the image alone")
    return transformer
