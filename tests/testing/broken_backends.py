"""Backends that are the reference in everything but one mistake, and the checks that must notice it."""

import copy

import torch

import warpkit as wk
from warpkit.sampling.reference import Reference

BROKEN = []  # (class, the checks that must fail)


def caught_by(*names):
    """The checks that must notice this plugin; no other may."""

    def note(cls):
        BROKEN.append((cls, frozenset(names)))
        return cls

    return note


class EitherWay(Reference):
    """The reference, with one place to change what both ways of sampling are given, and what they give."""

    def before(self, image, where, rule):
        return image, where, rule

    def after(self, result, image):
        return result

    def sample_points(self, image, coords, rule):
        given = self.before(image, coords, rule)
        return self.after(super().sample_points(*given), image)

    def sample_matrix(self, image, matrix, is_affine, size, rule):
        image, matrix, rule = self.before(image, matrix, rule)
        return self.after(super().sample_matrix(image, matrix, is_affine, size, rule), image)


@caught_by("agrees_on_points")
class AlwaysAligned(Reference):
    """Points are read as if −1 and 1 were pixel centres, whatever `align_corners` says.

    github.com/kornia/kornia/issues/747: the default changed beneath a library.
    """

    def sample_points(self, image, coords, rule):
        return super().sample_points(image, coords, rule._replace(align_corners=True))


@caught_by("agrees_on_points")
class RowsBeforeColumns(Reference):
    """Reads y, x where the points say x, y."""

    def sample_points(self, image, coords, rule):
        return super().sample_points(image, coords.flip(-1), rule)


@caught_by("agrees_on_matrices")
class TakesAllForAffine(Reference):
    """Never divides by the last row's result."""

    def sample_matrix(self, image, matrix, is_affine, size, rule):
        return super().sample_matrix(image, matrix, True, size, rule)


@caught_by("agrees_on_matrices")
class TransposedMatrix(Reference):
    """Multiplies rows by the matrix, and so turns the other way.

    github.com/MIC-DKFZ/batchgeneratorsv2/issues/24
    """

    def sample_matrix(self, image, matrix, is_affine, size, rule):
        d = image.ndim - 2
        turned = torch.cat([matrix[:, :d, :d].mT, matrix[:, :d, d:]], dim=-1)
        return super().sample_matrix(image, torch.cat([turned, matrix[:, d:]], dim=1), is_affine, size, rule)


@caught_by("agrees_on_padding")
class MirrorsAboutCentres(Reference):
    """Reflection about the outer pixels' centres whatever the alignment: the border pixel is not repeated."""

    def sample_points(self, image, coords, rule):
        if "reflection" in rule.padding and not rule.align_corners:
            size = torch.tensor(image.shape[:1:-1], dtype=coords.dtype, device=coords.device)
            scale = size / (size - 1).clamp(min=1)
            return super().sample_points(image, coords * scale, rule._replace(align_corners=True))
        return super().sample_points(image, coords, rule)


@caught_by("agrees_on_padding")
class FirstPaddingForAll(EitherWay):
    """Takes the padding of x for every axis."""

    def before(self, image, where, rule):
        return image, where, rule._replace(padding=rule.padding[:1] * len(rule.padding))


@caught_by("agrees_on_padding")
class ClampsThePoint(Reference):
    """Border padding by moving the point to the border, and not each tap: right for two taps, wrong for more.

    github.com/microsoft/onnxruntime/issues/10607: bicubic interpolation with border padding.
    """

    def sample_points(self, image, coords, rule):
        axes = []
        for x, n, mode in zip(coords.unbind(-1), image.shape[:1:-1], rule.padding, strict=True):
            last = 1.0 if rule.align_corners else 1 - 1 / n
            axes.append(torch.where(x.isfinite(), x.clamp(-last, last), x) if mode == "border" else x)
        return super().sample_points(image, torch.stack(axes, dim=-1), rule)


@caught_by("agrees_on_fill")
class OneFillForAllChannels(EitherWay):
    """Fills every channel with the first one's value."""

    def before(self, image, where, rule):
        fill = rule.fill[:1] if isinstance(rule.fill, torch.Tensor) else rule.fill
        return image, where, rule._replace(fill=fill)


@caught_by("agrees_on_fill")
class NeverFills(EitherWay):
    """Zeros outside, whatever `fill` says."""

    def before(self, image, where, rule):
        return image, where, rule._replace(fill=0.0)


@caught_by("agrees_on_types")
class TruncatesIntegers(EitherWay):
    """Integers are computed in float32 and cut off, not rounded; past the type's limits they wrap.

    github.com/pytorch/vision/pull/9658: which casts round, and which do not.
    """

    def before(self, image, where, rule):
        return image if image.is_floating_point() or image.is_complex() else image.float(), where, rule

    def after(self, result, image):
        return result.to(image.dtype)


@caught_by("agrees_on_types")
class HalfByHalf(EitherWay):
    """The result of a float16 image comes back in float32, the type it was computed in."""

    def after(self, result, image):
        return result.float() if image.dtype in (torch.float16, torch.bfloat16) else result


@caught_by("agrees_on_kernels")
class FirstKernelForAll(EitherWay):
    """Takes the kernel of x for every axis."""

    def before(self, image, where, rule):
        return image, where, rule._replace(kernels=rule.kernels[:1] * len(rule.kernels))


class _Mirrored(wk.Kernel):
    """A kernel with d and −d swapped."""

    def __init__(self, kernel):
        super().__init__()
        self.kernel, self.radius, self.pieces = kernel, kernel.radius, kernel.pieces
        self.partition_of_unity = kernel.partition_of_unity

    def forward(self, distance):
        return self.kernel(-distance)


@caught_by("agrees_on_kernels")
class TakesKernelsForSymmetric(EitherWay):
    """Evaluates k(m − x) where eq. 3 has k(x − m): the same for a symmetric kernel, the mirror image for others."""

    def before(self, image, where, rule):
        kernels = tuple(k if k.symmetric else _Mirrored(k) for k in rule.kernels)
        return image, where, rule._replace(kernels=kernels)


@caught_by("agrees_on_joints")
class NoEpsilon(Reference):
    """Float32 coordinates are read in float64: more exact, so that a rounded lattice lies just below its joints."""

    def sample_points(self, image, coords, rule):
        return super().sample_points(image, coords.double(), rule)


@caught_by("agrees_on_nonfinite_points")
class NanIsTheCentre(Reference):
    """NaN becomes 0 and infinity a large number, as `nan_to_num` does.

    github.com/pytorch/pytorch/issues/24823: "Problematic handling of NaN in grid_sample".
    """

    def sample_points(self, image, coords, rule):
        return super().sample_points(image, coords.nan_to_num(), rule)


@caught_by("agrees_on_shared_batches")
class ImageByImage(Reference):
    """Goes from image to image, so that one image has one set of points, and an empty batch nothing to join."""

    def sample_points(self, image, coords, rule):
        each = zip(image.split(1), coords.split(1), strict=False)
        return torch.cat([super(ImageByImage, self).sample_points(u, x, rule) for u, x in each])


@caught_by("agrees_on_layouts")
class TakesMemoryForPacked(EitherWay):
    """Walks through memory as if every image lay there row by row.

    github.com/qassemoquab/stnbhwd/pull/7 and github.com/pytorch/pytorch/issues/171602.
    """

    def before(self, image, where, rule):
        if image.is_contiguous() or image.numel() > image.untyped_storage().nbytes() // image.element_size():
            return image, where, rule
        packed = torch.empty(image.shape, dtype=image.dtype, device="meta").stride()
        return image.as_strided(image.shape, packed), where, rule


@caught_by("gradient_in_image")
class ImageDetached(EitherWay):
    """Gives the image no gradient, so that layers before the transformer stop learning."""

    def before(self, image, where, rule):
        return image.detach(), where, rule


@caught_by("gradient_in_points")
class GradientInPixels(Reference):
    """The gradient in the points is left in pixels: the factor n/2 of normalised coordinates is forgotten."""

    def sample_points(self, image, coords, rule):
        size = torch.tensor(image.shape[:1:-1], dtype=coords.dtype, device=coords.device)
        slowed = coords * 2 / size
        return super().sample_points(image, slowed + (coords - slowed).detach(), rule)


@caught_by("gradient_in_points")
class GradientOfZeros(Reference):
    """Border padding with the gradient of padding with zeros: points past the edge are sent off.

    github.com/pytorch/pytorch/issues/23925: "the gradient is currently based on zero padding the image".
    """

    def sample_points(self, image, coords, rule):
        if "border" not in rule.padding:
            return super().sample_points(image, coords, rule)
        zeros = rule._replace(padding=tuple("zeros" if mode == "border" else mode for mode in rule.padding))
        slope = super().sample_points(image.detach(), coords, zeros)
        return super().sample_points(image, coords.detach(), rule) + (slope - slope.detach())


@caught_by("gradient_in_matrix")
class MatrixDetached(Reference):
    """Gives the matrix no gradient: affine transformers never learn."""

    def sample_matrix(self, image, matrix, is_affine, size, rule):
        return super().sample_matrix(image, matrix.detach(), is_affine, size, rule)


@caught_by("gradient_in_kernel")
class KernelFrozen(EitherWay):
    """Works with a copy of the kernel, whose parameters the optimiser does not know."""

    def before(self, image, where, rule):
        kernels = tuple(copy.deepcopy(k) if any(True for _ in k.parameters()) else k for k in rule.kernels)
        return image, where, rule._replace(kernels=kernels)


@caught_by("second_derivatives")
class OnlyOnce(EitherWay):
    """The gradient in the points is detached on its way: right, but it cannot be differentiated again.

    github.com/pytorch/pytorch/issues/34704: "derivative for grid_sampler_2d_backward is not implemented".
    """

    def before(self, image, where, rule):
        if where.requires_grad:
            where = where.view_as(where)
            where.register_hook(lambda grad: grad.detach())
        return image, where, rule


@caught_by("inputs_are_not_changed")
class PointsAsScratch(Reference):
    """Uses the caller's coordinates as working memory once it is done with them."""

    def sample_points(self, image, coords, rule):
        result = super().sample_points(image, coords, rule)
        coords.data.clamp_(-1, 1)
        return result


@caught_by("same_each_time")
class Dithered(EitherWay):
    """Dithers the last bit, by the global random state."""

    def after(self, result, image):
        if result.dtype not in (torch.float32, torch.float64):
            return result
        return result + torch.finfo(result.dtype).eps / 2 * torch.randn_like(result) * result.detach().abs()


@caught_by("samples_something")
class RefusesAll(Reference):
    """Passes every comparison, by never taking part in one."""

    def refuses(self, image, rule):
        return "waits for a driver"


@caught_by("agrees_on_shapes")
class TargetsTurned(Reference):
    """Gives a grid's columns before its rows."""

    def sample_points(self, image, coords, rule):
        result = super().sample_points(image, coords, rule)
        return result.transpose(-1, -2).reshape(result.shape) if coords.ndim > 3 else result


@caught_by("agrees_on_shapes")
class FourChannelsAtATime(EitherWay):
    """A vector loop without the channels that are left over: they stay empty."""

    def after(self, result, image):
        whole = result.shape[1] // 4 * 4
        keep = torch.arange(result.shape[1]) < (whole or result.shape[1])
        return torch.where(keep.reshape(1, -1, *[1] * (result.ndim - 2)), result, torch.zeros_like(result))


@caught_by("agrees_on_shared_batches")
class BatchesOfFour(EitherWay):
    """Launches four blocks: the fifth image is never looked at."""

    def after(self, result, image):
        return torch.cat([result[:4], torch.zeros_like(result[4:])])


@caught_by("agrees_on_large_work")
class IndicesOfOneByte(EitherWay):
    """Columns past the 255th are read from the image's start."""

    def before(self, image, where, rule):
        n = image.shape[-1]
        return (image if n < 256 else image[..., torch.arange(n) % 256]), where, rule


@caught_by("agrees_on_matrices")
class NoHorizon(Reference):
    """Divides by w whatever its sign: what lies behind the camera is drawn upside down."""

    def sample_matrix(self, image, matrix, is_affine, size, rule):
        if is_affine:
            return super().sample_matrix(image, matrix, is_affine, size, rule)
        front = super().sample_matrix(image, matrix, False, size, rule)
        unfilled = rule._replace(fill=0.0) if rule.padding == ("zeros",) * len(size) else rule
        return front + super().sample_matrix(image, -matrix, False, size, unfilled)


@caught_by("agrees_on_padding")
class MatrixPadsWithZeros(Reference):
    """Knows paddings for points only."""

    def sample_matrix(self, image, matrix, is_affine, size, rule):
        return super().sample_matrix(image, matrix, is_affine, size, rule._replace(padding=("zeros",) * len(size)))


@caught_by("agrees_on_fill")
class MatrixFillsWithZeros(Reference):
    """Knows `fill` for points only."""

    def sample_matrix(self, image, matrix, is_affine, size, rule):
        return super().sample_matrix(image, matrix, is_affine, size, rule._replace(fill=0.0))


@caught_by("agrees_on_matrices")
class MatrixInSingle(Reference):
    """Rounds the matrix to float32, so that a float64 image is sampled a ten-millionth away."""

    def sample_matrix(self, image, matrix, is_affine, size, rule):
        return super().sample_matrix(image, matrix.float().double(), is_affine, size, rule)


@caught_by("agrees_on_types")
class MatrixResultInSingle(Reference):
    """By a matrix, a float16 image comes back in float32."""

    def sample_matrix(self, image, matrix, is_affine, size, rule):
        result = super().sample_matrix(image, matrix, is_affine, size, rule)
        return result.float() if image.dtype in (torch.float16, torch.bfloat16) else result


@caught_by("gradient_in_matrix")
class FirstMatrixLearns(Reference):
    """Gives the gradient of the first matrix of a batch alone."""

    def sample_matrix(self, image, matrix, is_affine, size, rule):
        return super().sample_matrix(image, torch.cat([matrix[:1], matrix[1:].detach()]), is_affine, size, rule)


@caught_by("gradients_of_large_work")
class LosesUpdates(EitherWay):
    """Threads add without waiting for each other: past a thousand points a gradient in the image is lost."""

    def before(self, image, where, rule):
        return image, where, rule

    def sample_points(self, image, coords, rule):
        result = super().sample_points(image, coords, rule)
        many = coords.shape[1:-1].numel() > 1000
        return result + (result.detach() - result) * 1e-3 if many else result


@caught_by("agrees_on_float32_points")
class PointsInTheImagesType(Reference):
    """Takes the coordinates' memory for that of the image's type."""

    def sample_points(self, image, coords, rule):
        if coords.dtype != image.dtype:
            return torch.zeros_like(super().sample_points(image, coords, rule))
        return super().sample_points(image, coords, rule)


class _NoForwardMode(torch.autograd.Function):
    """The identity, whose forward mode was left as the template has it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad):
        return grad

    @staticmethod
    def jvp(ctx, tangent):
        return torch.zeros_like(tangent)


@caught_by("works_under_jvp")
class NoForwardMode(EitherWay):
    """Forward mode gives zeros."""

    def after(self, result, image):
        return _NoForwardMode.apply(result)


@caught_by("works_under_vmap")
class LooksAtValues(EitherWay):
    """Skips the work for a black image, by a test that vmap cannot make."""

    def after(self, result, image):
        return result if bool((image != 0).any()) else torch.zeros_like(result)
