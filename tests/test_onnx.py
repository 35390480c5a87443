"""`torch.onnx.export` of modules that warp: what ONNX Runtime computes is what the module computes."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import warpkit as wk

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("unchecked")

# Name: which image is warped, by what, how. torch takes milliseconds for each operator of a graph, and lines have few.
FEW = {
    "affine": ("flat", "affine", {}),
    "spline": ("flat", wk.get_transform("thin_plate_spline", grid=(3, 2)), {"kernel": "bicubic"}),
}
MORE = {
    "projective": ("flat", "projective", {"kernel": "nearest", "fill": 0.5, "size": (4, 5)}),
    "volume": ("volume", "affine", {"kernel": "nearest", "padding_mode": "border"}),
    "field": ("line", "displacement", {"padding_mode": "reflection"}),
    "prefiltered": ("line", "affine", {"kernel": "bspline", "padding_mode": "reflection", "align_corners": True}),
    "wrapped": ("line", "affine", {"kernel": "mitchell", "padding_mode": "wrap"}),
    "marked": ("line", "affine", {"fill": float("nan")}),
    "bytes": ("bytes", "translation", {"fill": 7}),
    "halves": ("halves", "affine", {"padding_mode": "none", "fill": 1.0}),
    "doubles": ("doubles", "affine", {"kernel": {"type": "lanczos", "a": 2}, "align_corners": True}),
    "sampled": ("line", None, {}),
    "pushed": ("line", None, {"size": 5}),
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
    """Every warp of a table, by the identity and what is in `moves`; without a transform they are points."""

    def __init__(self, table: dict[str, Any]) -> None:
        super().__init__()
        self.table = table

    def forward(self, images: dict[str, Tensor], moves: Tensor) -> list[Tensor]:
        found = []
        for name, (which, transform, ways) in self.table.items():
            image = images[which]
            if transform is None:
                found.append((wk.push if name == "pushed" else wk.sample)(image, 4 * moves[:, :9, None], **ways))
                continue
            made = wk.get_transform(transform, ndim=image.ndim - 2) if isinstance(transform, str) else transform
            move = moves[:, None, :5] if made.is_field else made.identity() + moves[:, : made.num_params]
            found.append(wk.warp(image, made, move, **ways))
        return found


def given(batch: int) -> tuple[dict[str, Tensor], Tensor]:
    made = torch.Generator().manual_seed(batch)
    images = {
        name: (torch.rand(batch, *shape, generator=made) * (255 if dtype == torch.uint8 else 1)).to(dtype)
        for name, (shape, dtype) in IMAGES.items()
    }
    return images, 0.5 * torch.rand(batch, 12, generator=made) - 0.25


def check(table: dict[str, Any]) -> None:
    """ONNX Runtime computes of another batch than was exported what the module does."""
    net, (images, moves) = Warps(table).eval(), given(2)
    images = {name: image for name, image in images.items() if any(name == row[0] for row in table.values())}
    batch = {0: "batch"}
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(
            net,
            (images, moves),
            dynamo=True,
            verbose=False,
            dynamic_shapes=(dict.fromkeys(images, batch), batch),
            output_names=list(table),
        )
    others, moves = given(3)
    expected = net(others, moves)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    values = [*(others[name].numpy() for name in images), moves.numpy()]
    found = session.run(list(table), dict(zip((node.name for node in session.get_inputs()), values, strict=True)))
    for name, one, wanted in zip(table, found, expected, strict=True):
        assert one.dtype == wanted.numpy().dtype, name
        assert np.ptp(np.nan_to_num(one.astype(float))) > 0, name
        tolerance = {np.dtype("float16"): 1e-3, np.dtype("uint8"): 0}.get(one.dtype, 1e-5)
        np.testing.assert_allclose(one, wanted.numpy(), rtol=0, atol=tolerance, err_msg=name)


def test_onnx_runtime_computes_what_the_module_does():
    check(FEW)


def test_a_localization_network_of_volumes_becomes_one():
    net, image = wk.ConvLocalization(channels=[2], features=3, ndim=3).eval(), torch.rand(2, 1, 9, 16, 13)
    net(image)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(net, (image,), dynamo=True, verbose=False)
    (found,) = onnxruntime.InferenceSession(program.model_proto.SerializeToString()).run(None, {"image": image.numpy()})
    np.testing.assert_allclose(found, net(image).detach().numpy(), rtol=0, atol=1e-5)


@pytest.mark.exhaustive
def test_onnx_runtime_computes_every_padding_kind_of_kernel_and_type():
    check(MORE)


def test_the_native_backend_refuses_what_is_written_as_onnx(monkeypatch):
    image, coords = torch.zeros(1, 1, 4), torch.zeros(1, 3, 1)
    monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda: True)
    with (
        torch._subclasses.FakeTensorMode() as mode,
        wk.use_backend("native"),
        pytest.raises(wk.InputError, match="ONNX"),
    ):
        wk.sample(mode.from_tensor(image), mode.from_tensor(coords))


def test_antialiasing_is_no_part_of_an_exported_graph():
    class Smaller(nn.Module):
        def forward(self, image: Tensor, theta: Tensor) -> Tensor:
            return wk.warp(image, "affine", theta, size=2, antialias=True)

    with pytest.raises(wk.InputError, match=r"antialias: .* Export it with antialias=False"):
        torch.export.export(Smaller(), (torch.rand(1, 1, 8), torch.tensor([[1.0, 0.0]])))


def test_an_inverse_that_is_searched_for_is_no_part_of_an_exported_graph():
    class Inverse(nn.Module):
        def forward(self, theta: Tensor, points: Tensor) -> Tensor:
            return wk.get_transform("thin_plate_spline").inverse_points(theta, points)

    with pytest.raises(wk.InputError, match=r"inverse_points: .* Export the warp, and search outside"):
        torch.export.export(Inverse(), (torch.zeros(1, 32), torch.zeros(1, 4, 2)))
