// The operators: tensors → a problem, and what the threads made of it → tensors.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include "threads.h"

namespace warpkit {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

const Level& level() {
  static const Level& best = []() -> const Level& {
#if defined(__x86_64__)
    const char* wanted = std::getenv("WARPKIT_LEVEL");
    const std::string most = wanted ? wanted : "avx512";
    STD_TORCH_CHECK(
        most == "baseline" || most == "avx2" || most == "avx512",
        "WARPKIT_LEVEL: expected baseline, avx2 or avx512, got ", most);
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    if (avx512 && most == "avx512") return level_avx512;
    if (avx2 && most != "baseline") return level_avx2;
#endif
    return level_baseline;
  }();
  return best;
}

namespace {

constexpr int64_t RUN = 256;  // points of a list that are treated like a row

struct Arguments {
  const Tensor &image, &where, &table, &fill;
  const std::vector<int64_t>&kernels, &padding, &size;
  int64_t kind;
  bool align_corners, channels_last;
};

// A graph does not remember that its inputs were made contiguous before it.
Tensor in_line(const Tensor& t) { return t.is_contiguous() ? t : torch::stable::contiguous(t); }

// A graph or another caller may give anything: what would be read past its end is refused here.
void check(const Arguments& a, int dims) {
  for (const Tensor* t : {&a.image, &a.where, &a.table, &a.fill}) {
    STD_TORCH_CHECK(t->is_cpu() && t->is_contiguous(), "warpkit::sample takes contiguous tensors on the CPU");
  }
  const auto image = a.image.scalar_type(), where = a.where.scalar_type();
  STD_TORCH_CHECK(dims >= 1 && dims <= 3, "warpkit::sample takes an image of 3 to 5 axes, got ", dims + 2);
  STD_TORCH_CHECK(
      (image == ScalarType::Float || image == ScalarType::Double) &&
          (where == ScalarType::Double || (a.kind == POINTS && where == ScalarType::Float)) &&
          a.table.scalar_type() == ScalarType::Double && a.fill.scalar_type() == ScalarType::Double,
      "warpkit::sample takes a float32 or float64 image and points, and float64 matrices, tables and fills");
  const int64_t d = dims, channels = a.image.size(a.channels_last ? dims + 1 : 1);
  bool fits = int64_t(a.padding.size()) == d && int64_t(a.kernels.size()) == 5 * d && a.where.dim() == 3 &&
              (a.kind == POINTS ? a.where.size(2) == d : int64_t(a.size.size()) == d) &&
              (a.fill.numel() == 0 || a.fill.numel() == channels);
  int64_t points = 1;
  for (int64_t length : a.size) points *= length;
  fits = fits && (a.kind == POINTS ? a.where.size(1) == points : a.where.size(1) == d + 1 && a.where.size(2) == d + 1);
  const int64_t batch = a.image.size(0), sets = a.where.size(0);
  fits = fits && (batch == sets || batch == 1 || sets == 1) && a.kind >= POINTS && a.kind <= PROJECTIVE;
  for (int64_t k = 0; fits && k < d; k++) {
    const int64_t pieces = a.kernels[5 * k], taps = a.kernels[5 * k + 1], degree = a.kernels[5 * k + 2],
                  start = a.kernels[5 * k + 4];
    fits = a.padding[k] >= ZEROS && a.padding[k] <= WRAP && pieces > 0 && taps > 0 && taps <= MAX_TAPS && degree >= 0 &&
           start >= 0 && start + pieces * taps * (degree + 1) <= a.table.numel();
  }
  STD_TORCH_CHECK(fits, "warpkit::sample: sizes of image, coordinates, kernels, padding and table do not fit together");
}

// kernels: pieces, taps, degree, unity and start of the table for each of x, y, z; size: of the output, x first, or the
// number of points.
Problem problem(const Arguments& a) {
  Problem p{};
  const int dims = int(a.image.dim()) - 2;
  check(a, dims);
  p.dims = dims;
  p.align_corners = a.align_corners;
  p.channels_last = a.channels_last;
  p.channels = a.image.size(a.channels_last ? dims + 1 : 1);
  const double* table = static_cast<const double*>(a.table.data_ptr());
  int64_t stride = a.channels_last ? p.channels : 1, pixels = 1;
  for (int d = 0; d < dims; d++) {
    Axis& axis = p.axis[d];
    axis.size = a.image.size((a.channels_last ? dims : dims + 1) - d);
    axis.stride = stride;
    axis.padding = Padding(a.padding[d]);
    axis.pieces = int(a.kernels[5 * d]);
    axis.taps = int(a.kernels[5 * d + 1]);
    axis.degree = int(a.kernels[5 * d + 2]);
    axis.unity = a.kernels[5 * d + 3] != 0;
    axis.start = a.kernels[5 * d + 4];
    axis.table = table + axis.start;
    stride *= axis.size;
    pixels *= axis.size;
  }
  p.channel_stride = a.channels_last ? 1 : pixels;
  p.images = std::max(a.image.size(0), a.where.size(0));
  if (a.image.size(0) == 0 || a.where.size(0) == 0) p.images = 0;
  p.image_stride = a.image.size(0) == 1 ? 0 : pixels * p.channels;
  p.where = Where(a.kind);
  p.where_shared = a.where.size(0) == 1;
  if (p.where == POINTS) {
    p.wide_points = a.where.scalar_type() == ScalarType::Double;
    p.coords = a.where.data_ptr();
    p.points = 1;
    for (int64_t length : a.size) p.points *= length;
    p.length = a.size.size() > 1 ? a.size[0] : RUN;
    p.rows = p.length ? (p.points + p.length - 1) / p.length : 0;
  } else {
    p.matrix = static_cast<const double*>(a.where.data_ptr());
    for (int d = 0; d < 3; d++) p.out_size[d] = d < dims ? a.size[d] : 1;
    p.length = p.out_size[0];
    p.rows = p.out_size[1] * p.out_size[2];
    p.points = p.length * p.rows;
  }
  if (a.fill.numel() > 0) p.fill = static_cast<const double*>(a.fill.data_ptr());
  return p;
}

}  // namespace

Tensor sample(
    Tensor image, Tensor where, Tensor table, Tensor fill, std::vector<int64_t> kernels, std::vector<int64_t> padding,
    std::vector<int64_t> size, int64_t kind, bool align_corners, bool channels_last) {
  image = in_line(image);
  where = in_line(where);
  const Problem p = problem({image, where, table, fill, kernels, padding, size, kind, align_corners, channels_last});
  std::vector<int64_t> shape{p.images};
  if (!channels_last) shape.push_back(p.channels);
  shape.insert(shape.end(), size.rbegin(), size.rend());
  if (channels_last) shape.push_back(p.channels);
  Tensor output = torch::stable::new_empty(image, shape);
  if (image.scalar_type() == ScalarType::Double)
    run_forward(p, static_cast<const double*>(image.data_ptr()), static_cast<double*>(output.data_ptr()));
  else
    run_forward(p, static_cast<const float*>(image.data_ptr()), static_cast<float*>(output.data_ptr()));
  return output;
}

namespace {

// Adds up the tiles' sums in their order, and goes from pixel indices back to the normalised matrix.
void finish_matrix(const Problem& p, int64_t tiles, const double* sums, double* out) {
  const int d = p.dims, e = d + 1;
  for (int64_t n = 0; n < p.images; n++) {
    double* m = out + (p.where_shared ? 0 : n * e * e);
    for (int a = 0; a < (p.where == PROJECTIVE ? e : d); a++) {
      double total[4] = {};
      for (int64_t k = 0; k < tiles; k++)
        for (int j = 0; j < 4; j++) total[j] += sums[((n * tiles + k) * e + a) * 4 + j];
      for (int b = 0; b < d; b++) {
        const OutputAxis axis(p, b);
        m[a * e + b] += total[b] * axis.scale + total[3] * axis.offset;
      }
      m[a * e + d] += total[3];
    }
  }
}

template <class S>
std::tuple<Tensor, Tensor, Tensor> gradients(
    const Problem& p, const Tensor& grad, const Tensor& image, const Tensor& where, const Tensor& table,
    bool wants_image, bool wants_where, bool wants_table) {
  const Tiling tiles(p, BACKWARD_ROWS, BACKWARD_WIDTH);
  Sums<S> sums{};
  sums.output = static_cast<const S*>(grad.data_ptr());
  sums.coefficients = table.numel();
  Tensor d_image = wants_image ? torch::stable::new_zeros(image, image.sizes()) : torch::stable::new_empty(image, {0});
  if (wants_image) sums.image = static_cast<S*>(d_image.data_ptr());
  std::vector<int64_t> where_shape = {0};
  if (wants_where) {
    where_shape.assign(where.sizes().begin(), where.sizes().end());
    if (p.where == POINTS) where_shape[0] = p.images;
  }
  Tensor d_where = torch::stable::new_empty(table, where_shape);  // points that are given are all written
  if (wants_where && p.where != POINTS) std::fill_n(static_cast<double*>(d_where.data_ptr()), d_where.numel(), 0.0);
  Tensor d_table = torch::stable::new_empty(table, {wants_table ? sums.coefficients : 0});
  if (wants_table) std::fill_n(static_cast<double*>(d_table.data_ptr()), d_table.numel(), 0.0);
  std::vector<double> matrix, tables;
  if (wants_where && p.where == POINTS) sums.coords = static_cast<double*>(d_where.data_ptr());
  if (wants_where && p.where != POINTS) {
    matrix.resize(p.images * tiles.count() * (p.dims + 1) * 4);
    sums.matrix = matrix.data();
  }
  if (wants_table) {
    tables.resize(p.images * tiles.count() * sums.coefficients);
    sums.table = tables.data();
  }
  run_backward(p, tiles, static_cast<const S*>(image.data_ptr()), sums);
  if (sums.matrix) finish_matrix(p, tiles.count(), matrix.data(), static_cast<double*>(d_where.data_ptr()));
  if (sums.table) {
    double* out = static_cast<double*>(d_table.data_ptr());
    for (size_t k = 0; k < tables.size(); k++) out[k % sums.coefficients] += tables[k];
  }
  return {d_image, d_where, d_table};
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor> sample_backward(
    Tensor grad, Tensor image, Tensor where, Tensor table, Tensor fill, std::vector<int64_t> kernels,
    std::vector<int64_t> padding, std::vector<int64_t> size, int64_t kind, bool align_corners, bool channels_last,
    bool wants_image, bool wants_where, bool wants_table) {
  grad = in_line(grad);
  image = in_line(image);
  where = in_line(where);
  const Problem p = problem({image, where, table, fill, kernels, padding, size, kind, align_corners, channels_last});
  STD_TORCH_CHECK(
      grad.scalar_type() == image.scalar_type() && grad.numel() == p.images * p.channels * p.points,
      "warpkit::sample_backward: the gradient is not that of such an output");
  if (image.scalar_type() == ScalarType::Double)
    return gradients<double>(p, grad, image, where, table, wants_image, wants_where, wants_table);
  return gradients<float>(p, grad, image, where, table, wants_image, wants_where, wants_table);
}

std::string level_name() { return level().name; }

}  // namespace warpkit

STABLE_TORCH_LIBRARY(warpkit, m) {
  m.def(
      "sample(Tensor image, Tensor where, Tensor table, Tensor fill, int[] kernels, int[] padding, int[] size, int kind, "
      "bool align_corners, bool channels_last) -> Tensor");
  m.def(
      "sample_backward(Tensor grad, Tensor image, Tensor where, Tensor table, Tensor fill, int[] kernels, int[] padding, "
      "int[] size, int kind, bool align_corners, bool channels_last, bool wants_image, bool wants_where, bool wants_table) "
      "-> (Tensor, Tensor, Tensor)");
  m.def("level() -> str");
}

STABLE_TORCH_LIBRARY_IMPL(warpkit, CPU, m) {
  m.impl("sample", TORCH_BOX(&warpkit::sample));
  m.impl("sample_backward", TORCH_BOX(&warpkit::sample_backward));
}

STABLE_TORCH_LIBRARY_IMPL(warpkit, CompositeExplicitAutograd, m) { m.impl("level", TORCH_BOX(&warpkit::level_name)); }
