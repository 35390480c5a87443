"""A module as a file that runs where warpkit is not: a program of torch.export, or an ONNX model."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from warpkit import tracing
from warpkit.errors import require
from warpkit.sampling.backend import use_backend

_BATCH = "batch"
_MOST = 2 * 10**9  # bytes of weights: one file of ONNX holds 2 GiB
Shapes = Mapping[str, Sequence[int]]  # of one image of each input, [C, *S], by name


def as_pt2(module: nn.Module, shapes: Shapes) -> bytes:
    """The bytes of the file that `torch.export.load` reads; it holds operators of torch alone, as does ONNX's.

    torch raises an error of its own for what no program holds: sizes and choices that depend on the numbers of an
    image.
    """
    file = io.BytesIO()  # written by torch itself, a full disk would end the process
    with _quiet():
        torch.export.save(_exported(module, shapes), file)
    return file.getvalue()


def check_packages() -> None:
    """Raise `ModuleNotFoundError` unless there is all that `as_onnx` needs."""
    import onnxscript  # noqa: F401  # and with it onnx


def as_onnx(module: nn.Module, shapes: Shapes) -> bytes:
    """The bytes of an ONNX model: its inputs are called as in `shapes`, its result "output".

    Raises `InputError` for more weights than one file holds, before anything is traced. torch raises an error of its
    own for an operator that ONNX has no words for.
    """
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    size = sum(t.numel() * t.element_size() for t in tracing.tensors(module))
    told = f"its weights are {size / 1e9:.1f} GB, and a file of ONNX holds 2"
    require(size < _MOST, told, hint="torch.onnx.export writes them to a second file")
    with _quiet():
        made: Any = torch.onnx.export(
            _exported(module, shapes), dynamo=True, verbose=False, input_names=list(shapes), output_names=["output"]
        )
    for value in (*made.model.graph.inputs, *made.model.graph.outputs):
        if not isinstance(value.shape[0], int):
            value.shape[0] = _BATCH  # torch calls it s77
    ClearMetadataAndDocStringPass()(made.model)  # beside each operator, the line of Python it came from, in our folders
    data: bytes = made.model_proto.SerializeToString()
    return data


def _exported(module: nn.Module, shapes: Shapes) -> ExportedProgram:
    """The module in evaluation mode, for batches of any size."""
    images = tuple(torch.rand(2, *shape) for shape in shapes.values())
    batch = {0: torch.export.Dim(_BATCH)}
    # A network of several images takes them as `*images`.
    free: Any = {"images": (batch,) * len(images)} if len(images) > 1 else (batch,)
    with use_backend("reference"), torch.no_grad():  # a region with another grad mode could not be read again
        return torch.export.export(module.eval(), images, dynamic_shapes=free)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says of packages that are missing and its own deprecations, and of a graph beside an error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
