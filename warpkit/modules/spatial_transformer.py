"""The spatial transformer: localization network → θ → grid → sampler."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

from warpkit import tracing
from warpkit.antialias import check_antialias
from warpkit.boundary import PaddingMode, check_fill, check_padding, for_each_axis
from warpkit.component import Component, Drawn, as_number
from warpkit.errors import InputError, require
from warpkit.geometry import check_size, lattice
from warpkit.kernels.base import KernelLike, kernels
from warpkit.modules.base import modules
from warpkit.modules.regression import Looked, alike, regression_for, width_of
from warpkit.modules.start import limits_of, start
from warpkit.precision import KeepsPrecision, wide, working
from warpkit.sampling.rule import missing_axis
from warpkit.transforms.base import Transform, transforms
from warpkit.transforms.compose import Compose
from warpkit.transforms.given import TransformLike
from warpkit.warping import warp

LocalizationName = Literal["conv_localization", "dense_localization", "unet_localization", "resnet"]
ThetaFrom = Tensor | Callable[[Tensor], Tensor]
ThetaHook = Callable[[Any, Tensor, Tensor], object]


class SpatialTransformer(Drawn, Component, KeepsPrecision):
    """A layer that warps its input as its localization network says.

    Args:
        localization: any module (or its name or table) from image to features `[N, F]`. The transformer owns the
            regression layer F → P that ends it, with zero weight and bias: whatever the network, θ starts as `init`.
            With a field, from image to a feature map `[N, F, *F']`, and the regression layer is a convolution of 3 × 3
            F → D.
        transform: a name, a table or a `Transform`; of fields one alone, no composition.
        kernel: a name, a table or a `Kernel`, or one for each of x, y, z.
        size: the output's, rows first; the input's unless given.
        padding_mode: as in `warp`, and so are `fill` and `align_corners`.
        fill: see `warp`. Where the background is not zero, give it here: a visible seam is what transformers learn to
            avoid.
        align_corners: see `warp`; of a field that is given by name, too.
        antialias: see `warp`: for a window that is larger than the output. Not in a graph of `torch.compile`.
        features: F, else it is found on first use.
        init: where θ starts, P numbers, or in the shape that a batch of θ may have, as 2 × 3 for an affine matrix; the
            identity unless given. A transform without one needs it. Of a field as of every other, P numbers for all
            places alike, x, y, z; the same goes for `limits`.
        limits: a number, or one for each parameter: θ = init + limits · tanh(given / limits). 0 holds a parameter at
            `init`, inf (the default) frees it.
        steps: above 1, inverse-compositional: each step looks at the image warped so far and adds a transform that
            starts as the identity; the input is resampled once. Needs a matrix transform with `identity` and
            `from_matrix`. `limits` bound the composed θ.

    Raises:
        InputError: for an unknown name, options that do not fit, a transform without identity and no `init`.

    θ is float32 at least, under autocast and after `.half()` too.

    Jaderberg et al. 2015, section 3; steps: Lin and Lucey, "Inverse Compositional Spatial Transformer Networks", CVPR
    2017.

    >>> transformer = SpatialTransformer("conv_localization", "affine")
    >>> image = torch.rand(2, 1, 28, 28)
    >>> torch.equal(transformer(image), image)
    True
    """

    init: Tensor
    limits: Tensor | None

    def __init__(
        self,
        localization: LocalizationName | str | dict[str, Any] | nn.Module,
        transform: TransformLike = "affine",
        *,
        kernel: KernelLike | Sequence[KernelLike] = "bilinear",
        size: int | Sequence[int] | None = None,
        padding_mode: PaddingMode | Sequence[PaddingMode] = "zeros",
        fill: float | Sequence[float] = 0.0,
        align_corners: bool = False,
        antialias: bool | int = False,
        features: int | None = None,
        init: Sequence[float] | Sequence[Sequence[float]] | Tensor | None = None,
        limits: float | Sequence[float] | Tensor | None = None,
        steps: int = 1,
    ) -> None:
        super().__init__()
        self._theta_hooks: OrderedDict[int, ThetaHook] = OrderedDict()
        self.looked: Looked | None = None  # while there are hooks, for them
        self.localization = modules.own(localization)
        self.transform = transforms.own(transform, align_corners=align_corners)
        ndim = self.transform.ndim
        alone = not (isinstance(self.transform, Compose) and self.transform.is_field)
        require(alone, "transform: a composition with a field takes several θ, and a transformer gives one")
        self.kernels = nn.ModuleList(map(kernels.own, for_each_axis("kernel", kernel, ndim)))
        if not isinstance(kernel, list | tuple):  # one kernel for all axes, with one set of parameters
            self.kernels = self.kernels[:1]
        self.size = None if size is None else check_size(size, ndim)
        check_padding(padding_mode, ndim)
        check_fill(fill)
        require(isinstance(align_corners, bool), "align_corners", expected="True or False", given=align_corners)
        features = as_number(features)
        valid = features is None or (isinstance(features, int) and features > 0)
        require(valid, "features", expected="a positive integer", given=features)
        check_antialias(antialias, self.kernels)  # type: ignore[arg-type]
        self.padding_mode, self.fill, self.align_corners = padding_mode, fill, align_corners
        self.antialias = antialias
        with tracing.constants():
            begin = start(self.transform, init)
            most = None if limits is None else limits_of(self.transform, limits)
        self.keep("init", begin)
        self.keep("limits", most)
        self.steps = _check_steps(steps, self.transform)
        self.regression: Any = regression_for(self.transform, features)

    def forward(self, image: Float[Tensor, "N C *S"], theta_from: ThetaFrom | None = None) -> Float[Tensor, "N C *T"]:
        """Warp the image. θ is read from `theta_from` where that is given: a tensor, or a function of the image; with
        steps a function, of the image warped so far.
        """
        theta = self.theta(image, theta_from)
        if not (tracing.is_traced(theta) or tracing.in_backward()):
            for hook in list(self._theta_hooks.values()):
                hook(self, image, theta)
            self.looked = None
        return self.warp(image, theta)

    def theta(self, image: Float[Tensor, "N C *S"], theta_from: ThetaFrom | None = None) -> Float[Tensor, "N P *F"]:
        """The parameters for each image, in float32 at least; of a field `[N, D, *F']`, as large as its feature map.

        Raises `InputError` for a wrong number of axes.
        """
        if not isinstance(image, Tensor) or image.ndim != self.transform.ndim + 2:
            given = list(image.shape) if isinstance(image, Tensor) else image
            hint = missing_axis(image) if isinstance(image, Tensor) and image.ndim == self.transform.ndim + 1 else ""
            told = f"[N, C, *S] with {self.transform.ndim} axes in S"
            raise InputError("image", expected=told, given=given, hint=hint)
        if self.steps > 1:
            return self._composed(image, theta_from)
        seen = image if theta_from is None else theta_from(image) if callable(theta_from) else theta_from
        if not isinstance(seen, Tensor):
            raise InputError("theta_from", expected="a tensor, or a function that gives one", given=seen)
        return self._limited(self._regress(seen))

    def coords(self, image: Float[Tensor, "N C *S"], theta_from: ThetaFrom | None = None) -> Float[Tensor, "N *T D"]:
        """The normalised coordinates that each output pixel is sampled from, to be looked at."""
        theta = self.theta(image, theta_from)
        size = tuple(image.shape[2:]) if self.size is None else self.size
        if self.transform.is_field:
            return self.transform.on_lattice(theta, size, self.align_corners)
        return self.transform(
            theta, lattice(size, align_corners=self.align_corners, dtype=theta.dtype, device=theta.device)[None]
        )

    def register_theta_hook(self, hook: ThetaHook) -> RemovableHandle:
        """Have `hook(transformer, image, theta)` called by `forward`, between θ and the warp; its result is ignored.

        Not by `theta` and `coords`, not where θ has no numbers to look at (in a compiled or exported graph, under
        `torch.func`, on `meta`), and not when a checkpoint computes θ again. Copies, pickles and files of the
        transformer are without its hooks. Returns a handle whose `remove()` ends it.
        """
        handle = RemovableHandle(self._theta_hooks)
        self._theta_hooks[handle.id] = hook
        return handle

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_theta_hooks": OrderedDict(), "looked": None}

    def spec_options(self) -> dict[str, Any]:
        """The options that would make this transformer again, with its components themselves."""
        given = super().spec_options()
        several = isinstance(given.get("kernel"), list | tuple)
        kernel = list(self.kernels) if several else self.kernels[0]
        set_since = {name: getattr(self, name) for name in ("padding_mode", "fill", "align_corners", "steps")}
        if self.size != (None if given.get("size") is None else check_size(given["size"], self.transform.ndim)):
            set_since["size"] = self.size
        return {
            **given, **set_since, "localization": self.localization, "transform": self.transform, "kernel": kernel
        }  # fmt: skip

    def _regress(self, seen: Tensor) -> Float[Tensor, "N P *F"]:
        """The numbers that localization network and regression add to `init`."""
        if not torch.compiler.is_compiling():
            self._make_weights(seen)
        features = self.localization(seen)
        axes = 2 + self.transform.ndim * self.transform.is_field
        right = isinstance(features, Tensor) and features.ndim == axes
        expected = "features [N, F]" if axes == 2 else f"a feature map [N, F, {', '.join('DHW'[2 - axes :])}]"
        require(
            right,
            "localization",
            expected=expected,
            given=list(features.shape) if isinstance(features, Tensor) else features,
        )
        wanted = width_of(self.regression)
        if wanted not in (0, features.shape[1]):
            raise InputError("localization", expected=f"{wanted} features", given=features.shape[1])
        if not tracing.is_traced(features) and self._theta_hooks:
            self.looked = Looked(seen.detach(), features.detach(), features.requires_grad)
        with tracing.no_autocast(features.device):
            given: Tensor = self.regression(features.to(self.regression.weight.dtype))
            return given.to(working(given.dtype))

    def _make_weights(self, seen: Tensor) -> None:
        """Make a lazy network's weights outside of inference mode, where they could never be trained."""
        if torch.is_inference_mode_enabled() and any(map(is_lazy, self.localization.parameters())):
            with torch.inference_mode(False), torch.no_grad():
                self.localization(seen.clone())

    def _limited(self, given: Float[Tensor, "N P *F"]) -> Float[Tensor, "N P *F"]:
        """θ within its limits: init + limits · tanh(given / limits)."""
        init = alike(self.init, given)
        if self.limits is None:
            return init + given
        limits = alike(self.limits, given)
        bounded = (limits > 0) & limits.isfinite()
        safe = torch.where(bounded, limits, 1.0)  # 0 / 0 and inf · 0 would make NaN in the gradient
        return init + torch.where(bounded, safe * torch.tanh(given / safe), torch.where(limits > 0, given, 0.0))

    def _composed(self, image: Tensor, theta_from: ThetaFrom | None) -> Float[Tensor, "N P"]:
        """θ over several steps. V(Δ(p)) = U(M(Δ(p))), so each step multiplies M from the right."""
        require(
            not isinstance(theta_from, Tensor),
            "theta_from",
            expected="a function of the image warped so far, where steps > 1",
            given=theta_from,
        )
        # In float64 where there is one: every step's rounding would stay in the product.
        exact = wide(image.device)
        matrix = self.transform.matrix(self.init.to(image.device, exact)[None])
        theta = self.init.to(image.device, torch.float32)[None].expand(image.shape[0], -1)
        for _ in range(self.steps):
            so_far = self.warp(image, theta)
            given = self._regress(theta_from(so_far) if callable(theta_from) else so_far)
            step = self.transform.identity().to(given) + given
            matrix = matrix @ self.transform.matrix(step.to(exact))
            composed = self.transform.from_matrix(matrix)
            theta = self._limited((composed - self.init.to(composed)).to(given.dtype))
        return theta

    def warp(self, image: Float[Tensor, "N C *S"], theta: Float[Tensor, "N P *F"]) -> Float[Tensor, "N C *T"]:
        """Warp the image by a given θ, with this transformer's size, kernel, padding and fill."""
        each: list[Any] = list(self.kernels)
        return warp(
            image,
            self.transform,
            theta,
            size=self.size,
            kernel=each if len(each) > 1 else each[0],
            padding_mode=self.padding_mode,
            fill=self.fill,
            align_corners=self.align_corners,
            antialias=self.antialias,
        )


def _check_steps(steps: int, transform: Transform) -> int:
    steps = as_number(steps)
    require(isinstance(steps, int) and 1 <= steps <= 1000, "steps", expected="a whole number, 1 to 1000", given=steps)
    if steps > 1:
        name = type(transform).__name__
        require(transform.is_matrix, f"steps: {name} is no matrix transform, so its steps cannot be composed")
        start = transform.identity()  # raises where there is none
        transform.from_matrix(transform.matrix(start[None].to(wide(start.device))))
    return steps
