// The operators: tensors → a problem, and what the threads made of it → tensors.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
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

// What the operators share. `kernels`: pieces, taps, degree, unity, order and start of the table for each of x, y, z.
// `target`: the output's size, or whatever the shape of the points is, x first.
struct Arguments {
  const Tensor &where, &table, &fill;
  const std::vector<int64_t>&kernels, &padding, &target;
  int64_t kind;
  bool align_corners, channels_last;
};

// A graph does not remember that its inputs were made contiguous before it.
Tensor in_line(const Tensor& t) { return t.is_contiguous() ? t : torch::stable::contiguous(t); }

// The product of sizes, −1 where it is too large or one of them is negative.
template <class Sizes>
int64_t product(const Sizes& sizes) {
  int64_t all = 1;
  for (int64_t n : sizes)
    if (n < 0 || __builtin_mul_overflow(all, n, &all)) return -1;
  return all < (int64_t(1) << 60) ? all : -1;
}

bool is_real(ScalarType type) { return type == ScalarType::Float || type == ScalarType::Double; }

// How numbers of this type are stored, or -1: they can be copied only.
int stored_as(ScalarType type) {
  switch (type) {
    case ScalarType::Float: return FLOAT;
    case ScalarType::Double: return DOUBLE;
    case ScalarType::Half: return HALF;
    case ScalarType::BFloat16: return BFLOAT;
    case ScalarType::Byte: return UINT8;
    case ScalarType::Char: return INT8;
    case ScalarType::UInt16: return UINT16;
    case ScalarType::Short: return INT16;
    case ScalarType::Int: return INT32;
    default: return -1;
  }
}

// Whether the kernels take one pixel as it is, so that nothing is computed. As in reference.py.
bool takes_one(const std::vector<int64_t>& kernels) {
  for (size_t k = 0; k + 6 <= kernels.size(); k += 6)
    if (kernels[k] != 1 || kernels[k + 1] != 1 || kernels[k + 2] != 0 || !kernels[k + 3] || kernels[k + 4]) return false;
  return true;
}

// A graph or another caller may give anything: what would be read past its end is refused here. `image`: its shape.
void check(const Arguments& a, const std::vector<int64_t>& image) {
  const int64_t d = int64_t(image.size()) - 2;
  STD_TORCH_CHECK(d >= 1 && d <= 3, "warpkit takes an image of 3 to 5 axes, got ", d + 2);
  for (const Tensor* t : {&a.where, &a.table, &a.fill})
    STD_TORCH_CHECK(t->is_cpu() && t->is_contiguous(), "warpkit's native operators take contiguous tensors on the CPU");
  const bool listed = a.kind == POINTS || a.kind == SHIFTS;
  const auto where = a.where.scalar_type();
  STD_TORCH_CHECK(
      (where == ScalarType::Double || (listed && where == ScalarType::Float)) &&
          a.table.scalar_type() == ScalarType::Double,
      "warpkit takes float32 or float64 points, and float64 matrices and tables");
  const int64_t channels = image[a.channels_last ? d + 1 : 1], points = product(a.target);
  bool fits = a.kind >= POINTS && a.kind <= PROJECTIVE && points >= 0 && product(image) >= 0 &&
              int64_t(a.padding.size()) == d && int64_t(a.kernels.size()) == 6 * d && a.where.dim() == 3 &&
              (a.kind == POINTS || int64_t(a.target.size()) == d) &&
              (a.fill.numel() == 0 || a.fill.numel() == channels);
  for (int64_t k = 1; fits && k < d + 2; k++) fits = image[k] > 0;
  fits = fits && (listed ? a.where.size(1) == points && a.where.size(2) == d
                         : a.where.size(1) == d + 1 && a.where.size(2) == d + 1);
  const int64_t batch = image[0], sets = fits ? a.where.size(0) : 0;
  fits = fits && (batch == sets || batch == 1 || sets == 1) && product(std::vector<int64_t>{batch, sets}) >= 0 &&
         product(std::vector<int64_t>{std::max(batch, sets), channels, points}) >= 0;
  const int64_t numbers = a.table.numel();
  for (int64_t k = 0; fits && k < d; k++) {
    const int64_t pieces = a.kernels[6 * k], taps = a.kernels[6 * k + 1], degree = a.kernels[6 * k + 2],
                  order = a.kernels[6 * k + 4], start = a.kernels[6 * k + 5];
    fits = a.padding[k] >= ZEROS && a.padding[k] <= NONE && pieces > 0 && pieces <= numbers && taps > 0 &&
           taps <= MAX_TAPS && degree >= 0 && degree < numbers && order >= 0 && order <= numbers && start >= 0 &&
           start <= numbers && pieces <= (numbers - start) / (taps * (degree + 1));  // no product overflows
  }
  STD_TORCH_CHECK(fits, "warpkit: sizes of image, coordinates, kernels, padding and table do not fit together");
}

// Whether a weight jumps where a tap passes from one cell, or piece of one, to the next.
bool jumps(const Axis& axis) {
  const auto at = [&](int piece, int tap, bool end) {  // at the beginning of a piece, or at its end
    if (tap < 0 || tap >= axis.taps) return 0.0;
    const double* c = axis.table + (int64_t(piece) * axis.taps + tap) * (axis.degree + 1);
    double sum = c[0];
    for (int k = 1; end && k <= axis.degree; k++) sum += c[k];
    return sum;
  };
  for (int t = 0; t <= axis.taps; t++) {
    if (!(std::fabs(at(axis.pieces - 1, t, true) - at(0, t - 1, false)) < 1e-9)) return true;
    for (int p = 1; p < axis.pieces; p++)
      if (!(std::fabs(at(p - 1, t, true) - at(p, t, false)) < 1e-9)) return true;
  }
  return false;
}

// `slopes`: whether the derivative in the coordinates is wanted, which may jump where the weights do not.
Problem problem(const Arguments& a, const std::vector<int64_t>& image, bool slopes) {
  check(a, image);
  Problem p{};
  p.slopes = slopes;
  const int dims = int(image.size()) - 2;
  p.dims = dims;
  p.align_corners = a.align_corners;
  p.channels_last = a.channels_last;
  p.channels = image[a.channels_last ? dims + 1 : 1];
  const double* table = static_cast<const double*>(a.table.const_data_ptr());
  int64_t stride = a.channels_last ? p.channels : 1, pixels = 1;
  for (int d = 0; d < dims; d++) {
    const int64_t* kernel = a.kernels.data() + 6 * d;
    Axis& axis = p.axis[d];
    axis.size = image[(a.channels_last ? dims : dims + 1) - d];
    axis.stride = stride;
    axis.padding = Padding(a.padding[d]);
    axis.pieces = int(kernel[0]);
    axis.taps = int(kernel[1]);
    axis.degree = int(kernel[2]);
    axis.unity = kernel[3] != 0;
    axis.order = int(kernel[4]);
    axis.start = kernel[5];
    axis.table = table + axis.start;
    axis.jumps = jumps(axis);
    stride *= axis.size;
    pixels *= axis.size;
  }
  p.channel_stride = a.channels_last ? 1 : pixels;
  const int64_t batch = image[0], sets = a.where.size(0);
  p.images = batch == 0 || sets == 0 ? 0 : std::max(batch, sets);
  p.image_stride = batch == 1 ? 0 : pixels * p.channels;
  p.where = Where(a.kind);
  p.where_shared = sets == 1;
  p.wide_points = a.where.scalar_type() == ScalarType::Double;
  p.epsilon = p.wide_points ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
  p.points = product(a.target);
  for (int d = 0; d < 3; d++) p.out_size[d] = d < int(a.target.size()) ? a.target[d] : 1;
  p.length = p.where == POINTS && a.target.size() < 2 ? RUN : p.out_size[0];
  p.rows = p.length ? (p.points + p.length - 1) / p.length : 0;
  if (p.where == POINTS || p.where == SHIFTS)
    p.coords = a.where.const_data_ptr();
  else
    p.matrix = static_cast<const double*>(a.where.const_data_ptr());
  if (a.fill.numel() > 0 && a.fill.scalar_type() == ScalarType::Double)
    p.fill = static_cast<const double*>(a.fill.const_data_ptr());
  return p;
}

std::vector<int64_t> shape_of(const Tensor& t) { return {t.sizes().begin(), t.sizes().end()}; }

void check_dense(const Tensor& t) {
  STD_TORCH_CHECK(t.is_cpu() && t.is_contiguous(), "warpkit's native operators take contiguous tensors on the CPU");
}

template <class S>
const S* read(const Tensor& t) {
  return static_cast<const S*>(t.const_data_ptr());
}

template <class S>
S* written(const Tensor& t) {
  return static_cast<S*>(t.mutable_data_ptr());
}

}  // namespace

Tensor pull(
    Tensor image, Tensor where, Tensor table, Tensor fill, std::vector<int64_t> kernels, std::vector<int64_t> padding,
    std::vector<int64_t> target, int64_t kind, bool align_corners, bool channels_last) {
  image = in_line(image);
  where = in_line(where);
  check_dense(image);
  const Problem p = problem(
      {where, table, fill, kernels, padding, target, kind, align_corners, channels_last}, shape_of(image), false);
  const ScalarType type = image.scalar_type();
  const bool copies = takes_one(kernels);
  const int stored = stored_as(type);
  STD_TORCH_CHECK(copies || stored >= 0, "warpkit's native operators cannot sum numbers of this type");
  STD_TORCH_CHECK(
      fill.numel() == 0 || fill.scalar_type() == (copies ? type : ScalarType::Double),
      "warpkit takes a float64 fill, and one of the image's type where pixels are copied");
  std::vector<int64_t> shape{p.images};
  if (!channels_last) shape.push_back(p.channels);
  shape.insert(shape.end(), target.rbegin(), target.rend());
  if (channels_last) shape.push_back(p.channels);
  Tensor output = torch::stable::new_empty(image, shape);
  const Image from{image.const_data_ptr(), Stored(stored), int64_t(image.element_size())};
  if (copies)
    run_copy(p, from, fill.numel() ? fill.const_data_ptr() : nullptr, output.mutable_data_ptr());
  else if (stored == DOUBLE || stored == INT32)
    run_forward<double>(p, from, output.mutable_data_ptr());
  else
    run_forward<float>(p, from, output.mutable_data_ptr());
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
  const Tiling tiles = wants_image ? Tiling(p, PUSH_ROWS, PUSH_WIDTH) : Tiling(p, ROWS, WIDTH);
  Sums<S> sums{};
  sums.output = read<S>(grad);
  sums.coefficients = table.numel();
  Tensor d_image = wants_image ? torch::stable::new_zeros(image, image.sizes()) : torch::stable::new_empty(image, {0});
  if (wants_image) sums.image = written<S>(d_image);
  std::vector<int64_t> where_shape = {0};
  if (wants_where) {
    where_shape.assign(where.sizes().begin(), where.sizes().end());
    if (p.where < AFFINE) where_shape[0] = p.images;
  }
  const bool listed = p.where < AFFINE;
  Tensor d_where = torch::stable::new_empty(listed ? where : table, where_shape);  // of points, each is written
  if (wants_where && p.where >= AFFINE) std::fill_n(written<double>(d_where), d_where.numel(), 0.0);
  Tensor d_table = torch::stable::new_empty(table, {wants_table ? sums.coefficients : 0});
  if (wants_table) std::fill_n(written<double>(d_table), d_table.numel(), 0.0);
  std::vector<double> matrix, tables;
  if (wants_where && listed) sums.coords = d_where.mutable_data_ptr();
  if (wants_where && p.where >= AFFINE) {
    matrix.resize(p.images * tiles.count() * (p.dims + 1) * 4);
    sums.matrix = matrix.data();
  }
  if (wants_table) {
    tables.resize(p.images * tiles.count() * sums.coefficients);
    sums.table = tables.data();
  }
  run_backward(p, tiles, read<S>(image), sums);
  if (sums.matrix) finish_matrix(p, tiles.count(), matrix.data(), written<double>(d_where));
  if (sums.table) {
    double* out = written<double>(d_table);
    for (size_t k = 0; k < tables.size(); k++) out[k % sums.coefficients] += tables[k];
  }
  return {d_image, d_where, d_table};
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor> gradients_of(
    Tensor grad, Tensor image, Tensor where, Tensor table, Tensor fill, std::vector<int64_t> kernels,
    std::vector<int64_t> padding, std::vector<int64_t> target, int64_t kind, bool align_corners, bool channels_last,
    bool wants_image, bool wants_where, bool wants_table) {
  grad = in_line(grad);
  image = in_line(image);
  where = in_line(where);
  check_dense(image);
  check_dense(grad);
  const Problem p = problem(
      {where, table, fill, kernels, padding, target, kind, align_corners, channels_last}, shape_of(image),
      wants_where || wants_table);
  STD_TORCH_CHECK(
      is_real(image.scalar_type()) && (fill.numel() == 0 || fill.scalar_type() == ScalarType::Double),
      "warpkit takes the gradient of a float32 or float64 image, and a float64 fill");
  STD_TORCH_CHECK(
      grad.scalar_type() == image.scalar_type() && grad.numel() == p.images * p.channels * p.points,
      "warpkit: the gradient is not that of such an output");
  if (image.scalar_type() == ScalarType::Double)
    return gradients<double>(p, grad, image, where, table, wants_image, wants_where, wants_table);
  return gradients<float>(p, grad, image, where, table, wants_image, wants_where, wants_table);
}

namespace {

template <class S>
void push_into(const Problem& p, const Tensor& values, const Tensor& image) {
  Sums<S> sums{};
  sums.output = read<S>(values);
  sums.image = written<S>(image);
  run_backward(p, Tiling(p, PUSH_ROWS, PUSH_WIDTH), static_cast<const S*>(nullptr), sums);
}

}  // namespace

// `shape`: of the image, channels where they lie; with one image the values of all points are added up in it.
Tensor push(
    Tensor values, Tensor where, Tensor table, std::vector<int64_t> shape, std::vector<int64_t> kernels,
    std::vector<int64_t> padding, std::vector<int64_t> target, int64_t kind, bool align_corners, bool channels_last) {
  values = in_line(values);
  where = in_line(where);
  check_dense(values);
  const Tensor fill = torch::stable::new_empty(table, {0});
  const Problem p = problem(
      {where, table, fill, kernels, padding, target, kind, align_corners, channels_last}, shape, false);
  STD_TORCH_CHECK(is_real(values.scalar_type()), "warpkit pushes float32 or float64 values");
  STD_TORCH_CHECK(
      values.numel() == p.images * p.channels * p.points, "warpkit: the values are not those of such an output");
  Tensor image = torch::stable::new_zeros(values, shape);
  if (values.scalar_type() == ScalarType::Double)
    push_into<double>(p, values, image);
  else
    push_into<float>(p, values, image);
  return image;
}

std::string level_name() { return level().name; }

// What Python counts on, in its words.
std::string constants() {
  const char *padding[] = {"zeros", "border", "reflection", "wrap", "none"},
             *where[] = {"points", "shifts", "affine", "projective"};
  std::string all = "taps:" + std::to_string(MAX_TAPS);
  for (Padding k : {ZEROS, BORDER, REFLECTION, WRAP, NONE}) all += " " + std::string(padding[k]) + ":" + std::to_string(k);
  for (Where k : {POINTS, SHIFTS, AFFINE, PROJECTIVE}) all += " " + std::string(where[k]) + ":" + std::to_string(k);
  return all;
}

}  // namespace warpkit

STABLE_TORCH_LIBRARY(warpkit_native, m) {
  m.def(
      "pull(Tensor image, Tensor where, Tensor table, Tensor fill, int[] kernels, int[] padding, int[] target, int kind, "
      "bool align_corners, bool channels_last) -> Tensor");
  m.def(
      "push(Tensor values, Tensor where, Tensor table, int[] shape, int[] kernels, int[] padding, int[] target, "
      "int kind, bool align_corners, bool channels_last) -> Tensor");
  m.def(
      "gradients(Tensor grad, Tensor image, Tensor where, Tensor table, Tensor fill, int[] kernels, int[] padding, "
      "int[] target, int kind, bool align_corners, bool channels_last, bool wants_image, bool wants_where, "
      "bool wants_table) -> (Tensor, Tensor, Tensor)");
  m.def("level() -> str");
  m.def("constants() -> str");
}

STABLE_TORCH_LIBRARY_IMPL(warpkit_native, CPU, m) {
  m.impl("pull", TORCH_BOX(&warpkit::pull));
  m.impl("push", TORCH_BOX(&warpkit::push));
  m.impl("gradients", TORCH_BOX(&warpkit::gradients_of));
}

STABLE_TORCH_LIBRARY_IMPL(warpkit_native, CompositeExplicitAutograd, m) {
  m.impl("level", TORCH_BOX(&warpkit::level_name));
  m.impl("constants", TORCH_BOX(&warpkit::constants));
}
