"""Measures `wk.align` by fields beside SimpleITK on photographs that were bent: docs/tools/fields.py > TABLE.md

Twenty pairs of ten photographs that come with scikit-image, grey. A pair is cut from 288 × 288 pixels: MOVING is the
256 × 256 in the middle, FIXED is sampled from all of them (SciPy, splines of order 5) where a cubic B-spline with 5 × 5
random control points says, which moves pixels by up to 8, with noise of 1 % of full light. So FIXED shows at its edges
what MOVING does not have. Errors are those of the motion itself, in pixels, without a margin of 12.

SimpleITK's demons get a pyramid of three levels, 200 steps in each, and a smoothing of 1.5 pixels (the best of those
that were tried); its B-spline an 8 × 8 mesh, the mean square, L-BFGS-B and the same pyramid. All have two threads.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813  (its own pages call it so)
import torch
from scipy.ndimage import map_coordinates
from skimage import color, data
from skimage import transform as resizing
from torch import Tensor

import warpkit as wk

NAMES = (
    *("astronaut", "camera", "coffee", "rocket", "chelsea"),
    *("brick", "grass", "gravel", "stereo_motorcycle", "retina"),
)
SIDE, PAD, MARGIN, FARTHEST = 256, 16, 12, 8
LATTICE = wk.lattice((SIDE, SIDE))[None].flatten(1, 2)
Motion = Tensor  # [256, 256, 2], x y in pixels
Method = Callable[[Tensor, Tensor], Motion]  # of moving and fixed image


def in_pixels(transform: wk.Transform, theta: Tensor) -> Motion:
    return ((transform(theta, LATTICE) - LATTICE) * SIDE / 2).reshape(SIDE, SIDE, 2)


def pairs() -> Iterator[tuple[Tensor, Tensor, Motion]]:
    """Moving and fixed images [1, 1, 256, 256], and how each pixel of the fixed one has moved."""
    bend = wk.get_transform("free_form", grid=(5, 5))
    for k, name in enumerate(NAMES):
        picture = getattr(data, name)()
        picture = picture[0] if isinstance(picture, tuple) else picture
        grey = color.rgb2gray(picture[..., :3]) if picture.ndim == 3 else picture / 255
        y, x = ((n - min(grey.shape)) // 2 for n in grey.shape)
        square = grey[y : y + min(grey.shape), x : x + min(grey.shape)]
        whole = resizing.resize(square, (SIDE + 2 * PAD, SIDE + 2 * PAD), anti_aliasing=True)
        for seed in (k, 100 + k):
            theta = 2 * torch.rand(1, bend.num_params, generator=torch.Generator().manual_seed(seed)) - 1
            motion = in_pixels(bend, theta)
            motion = motion * FARTHEST / motion.norm(dim=-1).max()
            places = np.indices((SIDE, SIDE)) + PAD + motion.numpy()[..., ::-1].transpose(2, 0, 1)
            fixed = map_coordinates(whole, places, order=5, mode="mirror")
            fixed += np.random.default_rng(seed).normal(0, 0.01, fixed.shape)
            images = (torch.from_numpy(image).float()[None, None] for image in (whole[PAD:-PAD, PAD:-PAD], fixed))
            yield *images, motion


def ours(name: str, **options: Any) -> Method:
    transform = wk.get_transform(name, **options)
    return lambda moving, fixed: in_pixels(transform, wk.align(moving, fixed, transform))


def demons(kind: type[Any]) -> Method:
    def found(moving: Tensor, fixed: Tensor) -> Motion:
        demon = kind()
        demon.SetNumberOfIterations(200)
        demon.SetStandardDeviations(1.5)
        field = None
        for shrink, blur in ((4, 2.0), (2, 1.0), (1, 0.0)):
            m, f = (sitk.GetImageFromArray(image[0, 0].numpy()) for image in (moving, fixed))
            if blur:
                m, f = (sitk.Shrink(sitk.SmoothingRecursiveGaussian(image, blur), [shrink, shrink]) for image in (m, f))
            start = sitk.Image(f.GetSize(), sitk.sitkVectorFloat64, 2) if field is None else sitk.Resample(field, f)
            start.CopyInformation(f)
            field = demon.Execute(f, m, start)
        return torch.from_numpy(sitk.GetArrayFromImage(field)).float()

    return found


def b_spline(moving: Tensor, fixed: Tensor) -> Motion:
    m, f = (sitk.GetImageFromArray(image[0, 0].numpy()) for image in (moving, fixed))
    how = sitk.ImageRegistrationMethod()
    how.SetMetricAsMeanSquares()
    how.SetInterpolator(sitk.sitkLinear)
    how.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-7, numberOfIterations=200)
    how.SetInitialTransform(sitk.BSplineTransformInitializer(f, [8, 8], order=3), inPlace=True)
    how.SetShrinkFactorsPerLevel([4, 2, 1])
    how.SetSmoothingSigmasPerLevel([2, 1, 0])
    lattice = (f.GetSize(), f.GetOrigin(), f.GetSpacing(), f.GetDirection())
    field = sitk.TransformToDisplacementField(how.Execute(f, m), sitk.sitkVectorFloat64, *lattice)
    return torch.from_numpy(sitk.GetArrayFromImage(field)).float()


METHODS: dict[str, Method] = {
    "`wk.align`, `displacement`": ours("displacement", units="pixels"),
    "`wk.align`, `velocity`": ours("velocity", units="pixels"),
    "`wk.align`, `free_form`, 13 × 13": ours("free_form", grid=(13, 13)),
    "SimpleITK, fast symmetric demons": demons(sitk.FastSymmetricForcesDemonsRegistrationFilter),
    "SimpleITK, diffeomorphic demons": demons(sitk.DiffeomorphicDemonsRegistrationFilter),
    "SimpleITK, B-spline, 8 × 8 mesh": b_spline,
}


def row(name: str, method: Method) -> str:
    errors, folded, seconds = [], 0, []
    for moving, fixed, motion in pairs():
        start = time.process_time()
        found = method(moving, fixed)
        seconds.append(time.process_time() - start)
        errors.append((found - motion).norm(dim=-1)[MARGIN:-MARGIN, MARGIN:-MARGIN].mean().item())
        field = found.movedim(-1, 0)[None]
        folds = wk.losses.folding({"type": "displacement", "units": "pixels"}, field, (SIDE, SIDE))
        folded += int(folds.item() > 0)
    good = sum(error < 0.5 for error in errors)
    mean = f"{np.mean(errors):.2f} | {np.median(errors):.2f} | {max(errors):.2f}"
    return f"| {name} | {mean} | {good} | {folded} | {np.median(seconds):.0f} |"


if __name__ == "__main__":
    torch.set_num_threads(2)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(2)
    print("| | mean error | median pair | worst pair | pairs below ½ pixel | pairs that fold | processor seconds |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, method in METHODS.items():
        print(row(name, method), flush=True)
