"""What torch does around our Python: the only file that touches its private names."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes


@contextlib.contextmanager
def constants() -> Iterator[None]:
    """For what is computed once and kept: real CPU tensors that can be trained with, whatever mode the caller is in.

    Without it a cache that is first filled under `torch.inference_mode`, `torch.export` or `torch.device("meta")` would
    hold tensors that are useless afterwards.
    """
    with _disable_current_modes(), torch.inference_mode(False), torch.no_grad(), torch.device("cpu"):
        yield


def has_values(module: nn.Module) -> bool:
    """Whether the numbers in this module's tensors can be read: not while a trace or a function transform holds them."""
    return not any(
        torch._C._functorch.is_functorch_wrapped_tensor(t) or isinstance(t, torch._subclasses.FakeTensor) or t.is_meta
        for t in tensors(module)
    )


def tensors(module: nn.Module) -> list[Tensor]:
    """Its parameters and buffers."""
    return [*module.parameters(), *module.buffers()]
