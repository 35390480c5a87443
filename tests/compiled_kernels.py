"""Compiles every kernel of the Triton backend for an NVIDIA and an AMD GPU, without any: a line for each, on stdout."""

from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from warpkit.sampling.gpu import derivatives, maps, ordered
from warpkit.sampling.triton import Triton
from warpkit.testing.backends.case import Case
from warpkit.testing.backends.kernels import EVERY

TARGETS = [GPUTarget("cuda", 90, 32), GPUTarget("hip", "gfx942", 64)]
NAMES = {
    torch.float16: "fp16", torch.bfloat16: "bf16", torch.float32: "fp32", torch.float64: "fp64", torch.uint8: "u8",
    torch.int64: "i64",
}  # fmt: skip


def signature(given: Any, path: tuple[int, ...], constants: dict[Any, Any], attributes: dict[Any, Any]) -> Any:
    """The types of arguments as Triton finds them at a start: what is 1 is a constant, multiples of 16 are noted."""
    if isinstance(given, tuple):
        each = [signature(one, (*path, i), constants, attributes) for i, one in enumerate(given)]
        return type(given)(*each) if hasattr(given, "_fields") else tuple(each)
    if isinstance(given, torch.Tensor):
        return "*" + NAMES[given.dtype]
    if given == 1:
        constants[path] = 1
        return "constexpr"
    if given % 16 == 0:
        attributes[path] = [["tt.divisibility", 16]]
    return "i32"


def compile_instead(kernel: Any, programs: int, device: torch.device, *arguments: Any) -> None:
    constants: dict[Any, Any] = {}
    attributes: dict[Any, Any] = {}
    types = {}
    for i, (parameter, given) in enumerate(zip(kernel.params, arguments, strict=True)):
        if parameter.is_constexpr:
            constants[i,] = given
            types[parameter.name] = "constexpr"
        else:
            types[parameter.name] = signature(given, (i,), constants, attributes)
    options = {"num_warps": 4, "enable_fp_fusion": True}
    for target in TARGETS:
        made = triton.compile(ASTSource(kernel, types, constants, attributes), target=target, options=options)
        assert made.asm["cubin" if target.backend == "cuda" else "hsaco"]
        print(kernel.fn.__name__, target.backend, made.metadata.shared)


for module in (maps, derivatives, ordered):
    module.start = compile_instead  # type: ignore[attr-defined]
backend = Triton()
bicubic, bilinear, nearest, tent = EVERY[1], EVERY[0], EVERY[2], EVERY[4]

# Channels last, a fill, two pieces, points; then a projective matrix of bytes in 3-D; labels; the ways back.
case = Case(channels=16, size=(8, 6), out=(40,), kernels=(bicubic, tent), padding=("zeros", "reflection"), fill=1.0)
image = case.image().float().contiguous(memory_format=torch.channels_last)
problem = case.problem(image, case.where().float())
backend.gradients(backend.pull(image, problem), image, problem, (True, True, True))
volume = Case(
    door="projective", size=(4, 1, 6), out=(4, 5, 1), kernels=(bilinear,) * 3, padding=("wrap", "none", "zeros")
)
problem = volume.problem(volume.image().to(torch.uint8), volume.where())
backend.pull(volume.image().to(torch.uint8), problem)
problem = volume.problem(volume.image().float(), volume.where())
backend.gradients(torch.zeros(1, 1, 4, 5, 1), volume.image().float(), problem, (False, True, False))
labels = Case(door="shifts", out=(3, 4), kernels=(nearest,) * 2, dtype=torch.int64)
backend.pull(labels.image(), labels.problem(labels.image(), labels.where()))
for dtype in (torch.float16, torch.bfloat16, torch.float64):
    case = Case(door="affine", out=(6, 7), padding=("border", "wrap"), dtype=dtype)
    backend.pull(case.image(), case.problem(case.image(), case.where()))
backend.push(case.values(), case.problem(case.image(), case.where()), 1)
torch.use_deterministic_algorithms(True)
ordered._MANY = 4  # so that some cells may have too many points
for door, mode, channels, images, size in (
    ("affine", "zeros", 3, 1, (4, 5)), ("points", "border", 3, 1, (4, 5)), ("shifts", "wrap", 1, 2, (1, 4)),
):  # fmt: skip
    case = Case(
        door=door, images=images, sets=images, channels=channels, size=size, out=(6, 7), padding=(mode,) * 2,
        dtype=torch.float32,
    )  # fmt: skip
    backend.push(case.values(), case.problem(case.image(), case.where()), images)
