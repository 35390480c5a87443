"""`torch.onnx.export` of modules that warp: what ONNX Runtime computes is what the module computes."""

import warnings

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import warpkit as wk

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

# Name: which image is warped, by what, how. torch takes milliseconds for each operator, and lines have the fewest.
WARPS = {
    "affine": ("flat", "affine", {}),
    "spline": ("flat", wk.get_transform("thin_plate_spline", grid=(3, 2)), {"kernel": "bicubic"}),
    "projective": ("flat", "projective", {"kernel": "nearest", "fill": 0.5, "size": (4, 5)}),
    "volume": ("volume", "affine", {"kernel": "nearest", "padding_mode": "border"}),
    "field": ("line", "displacement", {"padding_mode": "reflection"}),
    "prefiltered": ("line", "affine", {"kernel": "bspline", "padding_mode": "reflection", "align_corners": True}),
    "wrapped": ("line", "affine", {"kernel": "mitchell", "padding_mode": "wrap"}),
    "marked": ("line", "affine", {"fill": float("nan")}),
    "bytes": ("bytes", "translation", {"fill": 7}),
    "halves": ("halves", "affine", {"padding_mode": "none", "fill": 1.0}),
    "doubles": ("doubles", "affine", {"kernel": {"type": "lanczos", "a": 2}, "align_corners": True}),
}
IMAGES = {
    "flat": ((2, 6, 7), torch.float32),
    "volume": ((1, 3, 4, 5), torch.float32),
    "line": ((1, 9), torch.float32),
    "bytes": ((1, 9), torch.uint8),
    "halves": ((1, 9), torch.float16),
    "doubles": ((1, 9), torch.float64),
}


class Warps(nn.Module):
    """Every warp of the table, by the identity and what is in `moves`; the same numbers are points, to be sampled."""

    def forward(self, images: dict[str, Tensor], moves: Tensor) -> dict[str, Tensor]:
        found = {}
        for name, (which, transform, ways) in WARPS.items():
            image = images[which]
            made = wk.get_transform(transform, ndim=image.ndim - 2) if isinstance(transform, str) else transform
            move = moves[:, None, :5] if made.is_field else made.identity() + moves[:, : made.num_params]
            found[name] = wk.warp(image, made, move, **ways)
        points = 4 * moves[:, :9, None]
        return found | {"sampled": wk.sample(images["line"], points), "pushed": wk.push(images["line"], points, 5)}


def given(batch: int) -> tuple[dict[str, Tensor], Tensor]:
    made = torch.Generator().manual_seed(batch)
    images = {
        name: (torch.rand(batch, *shape, generator=made) * (255 if dtype == torch.uint8 else 1)).to(dtype)
        for name, (shape, dtype) in IMAGES.items()
    }
    return images, 0.5 * torch.rand(batch, 12, generator=made) - 0.25


@pytest.fixture(scope="module")
def computed():
    """What ONNX Runtime and the module compute of another batch than was exported, by name."""
    net, (images, moves) = Warps().eval(), given(2)
    batch = {0: "batch"}
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
        patch.setattr(jaxtyping.config, "jaxtyping_disable", True)
        program = torch.onnx.export(
            net,
            (images, moves),
            dynamo=True,
            verbose=False,
            dynamic_shapes=(dict.fromkeys(images, batch), batch),
            output_names=[*WARPS, "sampled", "pushed"],
        )
        images, moves = given(3)
        expected = net(images, moves)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    names = [node.name for node in session.get_inputs()]
    found = session.run([*expected], dict(zip(names, [t.numpy() for t in (*images.values(), moves)], strict=True)))
    return dict(zip(expected, zip(found, expected.values(), strict=True), strict=True))


@pytest.mark.parametrize("name", [*WARPS, "sampled", "pushed"])
def test_onnx_runtime_computes_what_the_module_does(computed, name):
    found, expected = computed[name]
    assert found.dtype == expected.numpy().dtype
    assert np.ptp(np.nan_to_num(found.astype(float))) > 0
    tolerance = {np.dtype("float16"): 1e-3, np.dtype("uint8"): 0}.get(found.dtype, 1e-5)
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=tolerance)
