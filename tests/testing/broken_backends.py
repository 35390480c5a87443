"""Backends that are the reference in everything but one mistake, and the checks that must notice it."""

import math

import torch

from warpkit.sampling.reference import Reference

BROKEN = []  # (class, the checks that must fail)


def caught_by(*names):
    """The checks that must notice this plugin; no other may."""

    def note(cls):
        BROKEN.append((cls, frozenset(names)))
        return cls

    return note


class Changed(Reference):
    """The reference, with one place to change what it is given, for some kinds of places alone, and what it gives."""

    kinds = ("points", "shifts", "affine", "projective")

    def before(self, image, problem):
        return image, problem

    def after(self, result, image, problem):
        return result

    def pull(self, image, problem):
        if problem.kind not in self.kinds:
            return super().pull(image, problem)
        return self.after(super().pull(*self.before(image, problem)), image, problem)


class ByPoints(Changed):
    kinds = ("points",)


class ByMatrix(Changed):
    kinds = ("affine", "projective")


@caught_by("agrees_on_points")
class AlwaysAligned(ByPoints):
    """Points are read as if −1 and 1 were pixel centres, whatever `align_corners` says.

    github.com/kornia/kornia/issues/747: the default changed beneath a library.
    """

    def before(self, image, problem):
        return image, problem._replace(align_corners=True)


@caught_by("agrees_on_points")
class RowsBeforeColumns(ByPoints):
    """Reads y, x where the points say x, y."""

    def before(self, image, problem):
        return image, problem._replace(where=problem.where.flip(-1))


@caught_by("agrees_on_shifts")
class ShiftsInPixels(Changed):
    """Takes a shift for pixels."""

    kinds = ("shifts",)

    def before(self, image, problem):
        size = torch.tensor(problem.size[::-1], dtype=problem.where.dtype)
        return image, problem._replace(where=problem.where * 2 / size)


@caught_by("agrees_on_matrices")
class TakesAllForAffine(ByMatrix):
    """Never divides by the last row's result."""

    def before(self, image, problem):
        return image, problem._replace(kind="affine")


@caught_by("agrees_on_matrices")
class TransposedMatrix(ByMatrix):
    """Multiplies rows by the matrix, and so turns the other way.

    github.com/MIC-DKFZ/batchgeneratorsv2/issues/24
    """

    def before(self, image, problem):
        d, matrix = len(problem.size), problem.where
        turned = torch.cat([matrix[:, :d, :d].mT, matrix[:, :d, d:]], dim=-1)
        return image, problem._replace(where=torch.cat([turned, matrix[:, d:]], dim=1))


@caught_by("agrees_on_padding")
class MirrorsAboutCentres(ByPoints):
    """Reflection about the outer pixels' centres whatever the alignment: the border pixel is not repeated."""

    def before(self, image, problem):
        if "reflection" in problem.padding and not problem.align_corners:
            size = torch.tensor(problem.size[::-1], dtype=problem.where.dtype)
            scale = size / (size - 1).clamp(min=1)
            return image, problem._replace(where=problem.where * scale, align_corners=True)
        return image, problem


@caught_by("agrees_on_padding")
class FirstPaddingForAll(Changed):
    """Takes the padding of x for every axis."""

    def before(self, image, problem):
        return image, problem._replace(padding=problem.padding[:1] * len(problem.padding))


@caught_by("agrees_on_padding")
class ClampsThePoint(ByPoints):
    """Border padding by moving the point to the border, and not each tap: right for two taps, wrong for more.

    github.com/microsoft/onnxruntime/issues/10607: bicubic interpolation with border padding.
    """

    def before(self, image, problem):
        axes = []
        for x, axis in zip(problem.where.unbind(-1), problem.axes, strict=True):
            last = 1.0 if problem.align_corners else 1 - 1 / axis.size
            axes.append(torch.where(x.isfinite(), x.clamp(-last, last), x) if axis.padding == "border" else x)
        return image, problem._replace(where=torch.stack(axes, dim=-1))


@caught_by("agrees_on_padding")
class NoneIsBorder(Changed):
    """Extends the image by its border where it should not be extended."""

    def before(self, image, problem):
        modes = tuple("border" if mode == "none" else mode for mode in problem.padding)
        return image, problem._replace(padding=modes)


@caught_by("agrees_on_fill")
class OneFillForAllChannels(Changed):
    """Fills every channel with the first one's value."""

    def before(self, image, problem):
        return image, problem._replace(fill=problem.fill[:1])


@caught_by("agrees_on_fill")
class NeverFills(Changed):
    """Zeros outside, whatever `fill` says."""

    def before(self, image, problem):
        return image, problem._replace(fill=problem.fill[:0])


@caught_by("agrees_on_derivative_tables")
class FillsDerivatives(Changed):
    """Fills up to a sum of one, where the weights of a derivative sum to zero."""

    def after(self, result, image, problem):
        if problem.total or not problem.fill.numel():
            return result
        return result + problem.fill.to(result).reshape(-1, *[1] * (result.ndim - 2))


@caught_by("agrees_on_types")
class TruncatesIntegers(Changed):
    """Integers are computed in float32 and cut off, not rounded; past the type's limits they wrap.

    github.com/pytorch/vision/pull/9658: which casts round, and which do not.
    """

    def before(self, image, problem):
        return image if image.is_floating_point() or image.is_complex() else image.float(), problem

    def after(self, result, image, problem):
        return result.to(image.dtype)


@caught_by("agrees_on_kernels")
class FirstKernelForAll(Changed):
    """Takes the kernel of x for every axis."""

    def before(self, image, problem):
        return image, problem._replace(kernels=problem.kernels[:6] * len(problem.size))


@caught_by("agrees_on_kernels")
class TakesKernelsForSymmetric(Changed):
    """Evaluates k(m − x) where eq. 3 has k(x − m): the same for a symmetric kernel, the mirror image for others."""

    def before(self, image, problem):
        kernels, tables = [], []
        for axis, (_, _, table) in enumerate(problem.axes):
            c = table.coefficients.flip(0, 1)  # of 1 − u
            powers = [[math.comb(k, j) * (-1.0) ** j for j in range(c.shape[2])] for k in range(c.shape[2])]
            start = sum(t.numel() for t in tables)
            kernels += [*problem.kernels[6 * axis : 6 * axis + 5], start]
            tables.append((c @ torch.tensor(powers, dtype=c.dtype)).flatten())
        return image, problem._replace(kernels=tuple(kernels), table=torch.cat(tables))


@caught_by("agrees_on_joints")
class NoEpsilon(ByPoints):
    """Float32 coordinates are read in float64: more exact, so that a rounded lattice lies just below its joints."""

    def before(self, image, problem):
        return image, problem._replace(where=problem.where.double())


@caught_by("agrees_on_nonfinite_points")
class NanIsTheCentre(ByPoints):
    """NaN becomes 0 and infinity a large number, as `nan_to_num` does.

    github.com/pytorch/pytorch/issues/24823: "Problematic handling of NaN in grid_sample".
    """

    def before(self, image, problem):
        return image, problem._replace(where=problem.where.nan_to_num())


@caught_by("agrees_on_shared_batches")
class ImageByImage(Reference):
    """Goes from image to image, so that one image has one set of points, and an empty batch nothing to join."""

    def pull(self, image, problem):
        each = zip(image.split(1), problem.where.split(1), strict=False)
        return torch.cat([super(ImageByImage, self).pull(u, problem._replace(where=x)) for u, x in each])


@caught_by("agrees_on_parts")
class CountsEachTileFromZero(Changed):
    """Forgets where a tile of the output begins."""

    def before(self, image, problem):
        return image, problem._replace(origin=(0,) * len(problem.origin))


@caught_by("agrees_on_layouts")
class TakesMemoryForPacked(Changed):
    """Walks through memory as if every image lay there row by row.

    github.com/qassemoquab/stnbhwd/pull/7 and github.com/pytorch/pytorch/issues/171602.
    """

    def before(self, image, problem):
        if image.is_contiguous() or image.numel() > image.untyped_storage().nbytes() // image.element_size():
            return image, problem
        packed = torch.empty(image.shape, dtype=image.dtype, device="meta").stride()
        return image.as_strided(image.shape, packed), problem


@caught_by("gradient_in_image")
class ImageDetached(Changed):
    """Gives the image no gradient, so that layers before the transformer stop learning."""

    def before(self, image, problem):
        return image.detach(), problem


@caught_by("gradient_in_points")
class GradientInPixels(ByPoints):
    """The gradient in the points is left in pixels: the factor n/2 of normalised coordinates is forgotten."""

    def before(self, image, problem):
        size = torch.tensor(problem.size[::-1], dtype=problem.where.dtype)
        slowed = problem.where * 2 / size
        return image, problem._replace(where=slowed + (problem.where - slowed).detach())


@caught_by("gradient_in_points")
class GradientOfZeros(Reference):
    """Border padding with the gradient of padding with zeros: points past the edge are sent off.

    github.com/pytorch/pytorch/issues/23925: "the gradient is currently based on zero padding the image".
    """

    def pull(self, image, problem):
        if "border" not in problem.padding or problem.kind != "points":
            return super().pull(image, problem)
        zeros = problem._replace(padding=tuple("zeros" if mode == "border" else mode for mode in problem.padding))
        slope = super().pull(image.detach(), zeros)
        return super().pull(image, problem._replace(where=problem.where.detach())) + (slope - slope.detach())


@caught_by("gradient_in_matrix")
class MatrixDetached(ByMatrix):
    """Gives the matrix no gradient: affine transformers never learn."""

    def before(self, image, problem):
        return image, problem._replace(where=problem.where.detach())


@caught_by("gradient_in_kernel")
class KernelFrozen(Changed):
    """Works with a copy of the table, whose parameters the optimiser does not know."""

    def before(self, image, problem):
        return image, problem._replace(table=problem.table.detach())


@caught_by("second_derivatives")
class OnlyOnce(Changed):
    """The gradient in the points is detached on its way: right, but it cannot be differentiated again.

    github.com/pytorch/pytorch/issues/34704: "derivative for grid_sampler_2d_backward is not implemented".
    """

    def before(self, image, problem):
        if problem.where.requires_grad:
            where = problem.where.view_as(problem.where)
            where.register_hook(lambda grad: grad.detach())
            problem = problem._replace(where=where)
        return image, problem


class Opaque(Reference):
    """What C++ would be: the same numbers, which autograd does not see."""

    is_differentiable = False

    def pull(self, image, problem):
        return super().pull(image.detach(), problem)

    def gradients(self, grad, image, problem, wants):
        return None


@caught_by("gradient_in_image")
class FusedImageOnce(Opaque):
    """Its pass for all gradients forgets that a shared image has the gradients of all outputs."""

    def gradients(self, grad, image, problem, wants):
        if not wants[0]:
            return None
        problem = problem._replace(where=problem.where[:1] if image.shape[0] == 1 else problem.where)
        return self.push(grad[:1] if image.shape[0] == 1 else grad, problem, image.shape[0]), None, None


@caught_by("push_is_the_adjoint")
class PushesWithoutPadding(Opaque):
    """Values that fall outside are lost, whatever the padding; its gradient comes from elsewhere."""

    def push(self, values, problem, images):
        return super().push(values, problem._replace(padding=("zeros",) * len(problem.padding)), images)

    def gradients(self, grad, image, problem, wants):
        d_image = Reference.push(self, grad, problem, image.shape[0]) if wants[0] else None
        return None if wants[1] or wants[2] else (d_image, None, None)


@caught_by("gradients_of_push")
class PushDetached(Reference):
    """Gives values that are pushed no gradient."""

    def push(self, values, problem, images):
        return super().push(values.detach(), problem, images)


@caught_by("inputs_are_not_changed")
class PointsAsScratch(ByPoints):
    """Uses the caller's coordinates as working memory once it is done with them."""

    def after(self, result, image, problem):
        problem.where.data.clamp_(-1, 1)
        return result


@caught_by("same_each_time")
class Dithered(Changed):
    """Dithers the last bit, by the global random state."""

    def after(self, result, image, problem):
        if result.dtype not in (torch.float32, torch.float64):
            return result
        return result + torch.finfo(result.dtype).eps / 2 * torch.randn_like(result) * result.detach().abs()


@caught_by("samples_something")
class RefusesAll(Reference):
    """Passes every comparison, by never taking part in one."""

    def refuses(self, problem):
        return "waits for a driver"


@caught_by("agrees_on_shapes")
class TargetsTurned(ByPoints):
    """Gives a grid's columns before its rows."""

    def after(self, result, image, problem):
        return result.transpose(-1, -2).reshape(result.shape) if len(problem.target) > 1 else result


@caught_by("agrees_on_shapes")
class FourChannelsAtATime(Changed):
    """A vector loop without the channels that are left over: they stay empty."""

    def after(self, result, image, problem):
        whole = result.shape[1] // 4 * 4
        keep = torch.arange(result.shape[1]) < (whole or result.shape[1])
        return torch.where(keep.reshape(1, -1, *[1] * (result.ndim - 2)), result, torch.zeros_like(result))


@caught_by("agrees_on_shared_batches")
class BatchesOfFour(Changed):
    """Launches four blocks: the fifth image is never looked at."""

    def after(self, result, image, problem):
        return torch.cat([result[:4], torch.zeros_like(result[4:])])


@caught_by("agrees_on_large_work")
class IndicesOfOneByte(Changed):
    """Columns past the 255th are read from the image's start."""

    def before(self, image, problem):
        n = image.shape[-1]
        return (image if n < 256 else image[..., torch.arange(n) % 256]), problem


@caught_by("agrees_on_matrices")
class NoHorizon(Reference):
    """Divides by w whatever its sign: what lies behind the camera is drawn upside down."""

    def pull(self, image, problem):
        if problem.kind != "projective":
            return super().pull(image, problem)
        unfilled = problem._replace(fill=problem.fill[:0]) if set(problem.padding) == {"zeros"} else problem
        return super().pull(image, problem) + super().pull(image, unfilled._replace(where=-problem.where))


@caught_by("agrees_on_padding")
class MatrixPadsWithZeros(ByMatrix):
    """Knows paddings for points only."""

    def before(self, image, problem):
        return image, problem._replace(padding=("zeros",) * len(problem.size))


@caught_by("agrees_on_fill")
class MatrixFillsWithZeros(ByMatrix):
    """Knows `fill` for points only."""

    def before(self, image, problem):
        return image, problem._replace(fill=problem.fill[:0])


@caught_by("agrees_on_matrices")
class MatrixInSingle(ByMatrix):
    """Rounds the matrix to float32, so that a float64 image is sampled a ten-millionth away."""

    def before(self, image, problem):
        return image, problem._replace(where=problem.where.float().double())


@caught_by("gradient_in_matrix")
class FirstMatrixLearns(ByMatrix):
    """Gives the gradient of the first matrix of a batch alone."""

    def before(self, image, problem):
        return image, problem._replace(where=torch.cat([problem.where[:1], problem.where[1:].detach()]))


@caught_by("gradients_of_large_work")
class LosesUpdates(ByPoints):
    """Threads add without waiting for each other: past a thousand points a gradient in the image is lost."""

    def after(self, result, image, problem):
        many = problem.where.shape[1:-1].numel() > 1000
        return result + (result.detach() - result) * 1e-3 if many else result


@caught_by("agrees_on_float32_points")
class PointsInTheImagesType(ByPoints):
    """Takes the coordinates' memory for that of the image's type."""

    def after(self, result, image, problem):
        return result if problem.where.dtype == image.dtype else torch.zeros_like(result)


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
class NoForwardMode(Changed):
    """A backend whose forward mode gives zeros."""

    def after(self, result, image, problem):
        return _NoForwardMode.apply(result)


@caught_by("works_under_vmap")
class LooksAtValues(Changed):
    """Skips the work for a black image, by a test that vmap cannot make."""

    def after(self, result, image, problem):
        return result if bool((image != 0).any()) else torch.zeros_like(result)
