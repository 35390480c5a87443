"""A warp whose coordinates lie off the joints, for whatever asks for derivatives."""

import torch
from cases import start, transform
from strategies import uniform
from torch import Tensor

import warpkit as wk

_SIZE = (4, 3, 3)


def problem(
    name: str, ndim: int, dtype: torch.dtype = torch.float64, batch: int = 1
) -> tuple[wk.Transform, Tensor, Tensor]:
    """A transform, images [batch, 1, *S] and θ [batch, P]."""
    made = transform(name, ndim)
    theta = start(made, batch) + 0.13 * uniform(3, batch, made.num_params)
    return made, uniform(1, batch, 1, *_SIZE[-ndim:], dtype=dtype), theta.to(dtype)


def same(a: Tensor, b: Tensor) -> None:
    """Equal to the precision of what a derivative is computed from."""
    torch.testing.assert_close(a, b, rtol=0, atol=2e-4 if b.dtype == torch.float32 else 1e-10)
