// What Python calls. A plan is made once of all that does not depend on the numbers; then it is given addresses.
//
// Whatever would be read or written past its end is refused when a plan is made. That the addresses are those of dense
// tensors of the plan's shapes and types is native.py's part.

#include <Python.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "filter.h"
#include "threads.h"

namespace warpkit {

const Level& level() {
  static const Level& best = []() -> const Level& {
#if defined(__x86_64__)
    const char* wanted = std::getenv("WARPKIT_LEVEL");
    const std::string most = wanted ? wanted : "avx512";
    if (most != "baseline" && most != "avx2" && most != "avx512")
      throw std::invalid_argument("WARPKIT_LEVEL: expected baseline, avx2 or avx512, got " + most);
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

constexpr int PLAN = 20;  // arguments of `plan`
constexpr int64_t RUN = 256;  // points of a list that are treated like a row
using Sizes = std::vector<int64_t>;

void check(bool fits, const char* what = "sizes of image, coordinates, kernels, padding and table do not fit together") {
  if (!fits) throw std::invalid_argument(std::string("warpkit: ") + what);
}

// The product of sizes, −1 where it is too large or one of them is negative.
int64_t product(const Sizes& sizes) {
  int64_t all = 1;
  for (int64_t n : sizes)
    if (n < 0 || __builtin_mul_overflow(all, n, &all)) return -1;
  return all < (int64_t(1) << 60) ? all : -1;
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

// All of a call but its numbers. What it was made of may go: the tables and `fill` are its own.
struct Plan {
  Problem problem{};
  Image image{};  // how the pixels are stored
  bool copies = false;
  std::vector<double> table;
  std::vector<char> fill;

  Problem at(const void* where, bool slopes) const {
    Problem p = problem;
    p.slopes = slopes;
    if (p.where < AFFINE)
      p.coords = where;
    else
      p.matrix = static_cast<const double*>(where);
    return p;
  }
  // Whether numbers are summed in double. Only floating-point numbers are pushed, and have gradients.
  bool is_double() const { return image.stored == DOUBLE || image.stored == INT32; }
  bool is_real() const { return image.stored == FLOAT || image.stored == DOUBLE; }
};

// As Python gives them. `image` and `where`: the shapes; `target`: the output's size, or whatever the shape of the
// points is, x first; `kernels`: pieces, taps, degree, unity, order and start of the table for each of x, y, z;
// `extent`, `begin`, `whole` and `origin` of x, y, z.
struct Given {
  Sizes image, where, kernels, padding, target, extent, begin, whole, origin;
  bool channels_last, wide, align_corners, copies;
  int64_t stored, bytes, kind, numbers, fills;
  const double* table;
  const void* fill;
};

void check(const Given& a) {
  const int64_t d = int64_t(a.image.size()) - 2;
  check(d >= 1 && d <= 3 && a.where.size() >= 2 && a.kind >= POINTS && a.kind <= PROJECTIVE);
  const int64_t channels = a.image[a.channels_last ? d + 1 : 1], points = product(a.target);
  check(
      points >= 0 && product(a.image) >= 0 && product(a.where) >= 0 && int64_t(a.padding.size()) == d &&
      int64_t(a.kernels.size()) == 6 * d && int64_t(a.extent.size()) == d &&
      int64_t(a.begin.size()) == d && (a.kind == POINTS || int64_t(a.target.size()) == d) &&
      a.whole.size() == a.target.size() && a.origin.size() == a.target.size() &&
      (a.fills == 0 || a.fills == channels) && a.stored >= -1 && a.stored <= INT32 && (a.copies || a.stored >= 0) &&
      a.bytes >= 1 && a.bytes <= 16);
  for (int64_t k = 1; k < d + 2; k++) check(a.image[k] > 0);
  if (a.kind == POINTS || a.kind == SHIFTS)
    check(a.where.back() == d && product({a.where.begin() + 1, a.where.end() - 1}) == points);
  else
    check(a.wide && a.where.size() == 3 && a.where[1] == d + 1 && a.where[2] == d + 1);
  const int64_t batch = a.image[0], sets = a.where[0];
  check(
      (batch == sets || batch == 1 || sets == 1) && product({batch, sets}) >= 0 &&
      product({std::max(batch, sets), channels, points}) >= 0);
  for (int64_t k = 0; k < d; k++) {
    check(a.extent[k] > 0 && std::max(a.extent[k], std::abs(a.begin[k])) < int64_t(1) << 60);
    const int64_t pieces = a.kernels[6 * k], taps = a.kernels[6 * k + 1], degree = a.kernels[6 * k + 2],
                  order = a.kernels[6 * k + 4], start = a.kernels[6 * k + 5];
    check(
        a.padding[k] >= ZEROS && a.padding[k] <= NONE && pieces > 0 && pieces <= a.numbers && taps > 0 &&
        taps <= MAX_TAPS && degree >= 0 && degree < a.numbers && order >= 0 && order <= a.numbers && start >= 0 &&
        start <= a.numbers && pieces <= (a.numbers - start) / (taps * (degree + 1)));  // no product overflows
    // Whether the kernel takes one pixel as it is, so that nothing is computed. As in problem.py.
    if (a.copies) check(pieces == 1 && taps == 1 && degree == 0 && a.kernels[6 * k + 3] && order == 0);
  }
}

std::unique_ptr<Plan> planned(const Given& a) {
  check(a);
  auto plan = std::make_unique<Plan>();
  plan->image = {nullptr, Stored(a.stored), a.bytes};
  plan->copies = a.copies;
  plan->table.assign(a.table, a.table + a.numbers);
  Problem& p = plan->problem;
  const int dims = int(a.image.size()) - 2;
  p.dims = dims;
  p.align_corners = a.align_corners;
  p.channels_last = a.channels_last;
  p.channels = a.image[a.channels_last ? dims + 1 : 1];
  int64_t stride = a.channels_last ? p.channels : 1, pixels = 1;
  for (int d = 0; d < dims; d++) {
    const int64_t* kernel = a.kernels.data() + 6 * d;
    Axis& axis = p.axis[d];
    axis.size = a.image[(a.channels_last ? dims : dims + 1) - d];
    axis.extent = a.extent[d];
    axis.begin = a.begin[d];
    axis.stride = stride;
    axis.padding = Padding(a.padding[d]);
    axis.pieces = int(kernel[0]);
    axis.taps = int(kernel[1]);
    axis.degree = int(kernel[2]);
    axis.unity = kernel[3] != 0;
    axis.order = int(kernel[4]);
    axis.start = kernel[5];
    axis.table = plan->table.data() + axis.start;
    axis.jumps = jumps(axis);
    stride *= axis.size;
    pixels *= axis.size;
  }
  p.channel_stride = a.channels_last ? 1 : pixels;
  const int64_t batch = a.image[0], sets = a.where[0];
  p.images = batch == 0 || sets == 0 ? 0 : std::max(batch, sets);
  p.image_stride = batch == 1 ? 0 : pixels * p.channels;
  p.where = Where(a.kind);
  p.where_shared = sets == 1;
  p.wide_points = a.wide;
  p.epsilon = a.wide ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
  p.points = product(a.target);
  for (int d = 0; d < 3; d++) {
    const bool is = d < int(a.target.size());
    p.out_size[d] = is ? a.target[d] : 1;
    p.whole[d] = is ? a.whole[d] : 1;
    p.origin[d] = is ? a.origin[d] : 0;
  }
  // Points may go on in the next row: blocks of them are whole, however narrow the output is.
  const bool runs = p.where == POINTS && (a.target.size() < 2 || (p.out_size[0] < 2 * RUN && p.out_size[0] % LANES));
  p.length = runs ? RUN : p.out_size[0];
  p.rows = p.length ? (p.points + p.length - 1) / p.length : 0;
  const char* fill = static_cast<const char*>(a.fill);
  plan->fill.assign(fill, fill + a.fills * (a.copies ? a.bytes : int64_t(sizeof(double))));
  if (a.fills && !a.copies) p.fill = reinterpret_cast<const double*>(plan->fill.data());
  return plan;
}

void pull(const Plan& plan, const void* pixels, const void* where, void* output) {
  const Problem p = plan.at(where, false);
  Image image = plan.image;
  image.pixels = pixels;
  if (plan.copies)
    run_copy(p, image, plan.fill.empty() ? nullptr : plan.fill.data(), output);
  else if (plan.is_double())
    run_forward<double>(p, image, output);
  else
    run_forward<float>(p, image, output);
}

template <class S>
void push(const Plan& plan, const void* values, const void* where, void* image) {
  Sums<S> sums{};
  sums.output = static_cast<const S*>(values);
  sums.image = static_cast<S*>(image);
  const Problem p = plan.at(where, false);
  run_backward(p, Tiling(p, PUSH_ROWS, PUSH_WIDTH), static_cast<const S*>(nullptr), sums);
}

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

// What is null is not wanted. All but the gradients of points are added to.
struct Wanted {
  void *image, *where;
  double* table;
};

template <class S>
void gradients(const Plan& plan, const void* grad, const void* image, const void* where, const Wanted& to) {
  const Problem p = plan.at(where, to.where || to.table);
  const Tiling tiles = to.image ? Tiling(p, PUSH_ROWS, PUSH_WIDTH) : Tiling(p, ROWS, WIDTH);
  Sums<S> sums{};
  sums.output = static_cast<const S*>(grad);
  sums.image = static_cast<S*>(to.image);
  sums.coefficients = int64_t(plan.table.size());
  std::vector<double> matrix, tables;
  if (to.where && p.where < AFFINE) sums.coords = to.where;
  if (to.where && p.where >= AFFINE) {
    matrix.resize(p.images * tiles.count() * (p.dims + 1) * 4);
    sums.matrix = matrix.data();
  }
  if (to.table) {
    tables.resize(p.images * tiles.count() * sums.coefficients);
    sums.table = tables.data();
  }
  run_backward(p, tiles, static_cast<const S*>(image), sums);
  if (sums.matrix) finish_matrix(p, tiles.count(), matrix.data(), static_cast<double*>(to.where));
  for (size_t k = 0; k < tables.size(); k++) to.table[k % sums.coefficients] += tables[k];
}

// What Python counts on, in its words.
std::string constants() {
  const char *padding[] = {"zeros", "border", "reflection", "wrap", "none"},
             *where[] = {"points", "shifts", "affine", "projective"},
             *stored[] = {"float32", "float64", "float16", "bfloat16", "uint8", "int8", "uint16", "int16", "int32"};
  std::string all = "taps:" + std::to_string(MAX_TAPS) + " plan:" + std::to_string(PLAN);
  const auto add = [&](const std::string& word, int number) { all += " " + word + ":" + std::to_string(number); };
  for (Padding k : {ZEROS, BORDER, REFLECTION, WRAP, NONE}) add(padding[k], k);
  for (Where k : {POINTS, SHIFTS, AFFINE, PROJECTIVE}) add(where[k], k);
  for (Stored k : {FLOAT, DOUBLE, HALF, BFLOAT, UINT8, INT8, UINT16, INT16, INT32}) add(stored[k], k);
  return all;
}

// What follows is Python's side.

struct Raised {};  // Python holds an exception

int64_t whole(PyObject* given) {
  const int64_t n = PyLong_AsLongLong(given);
  if (n == -1 && PyErr_Occurred()) throw Raised();
  return n;
}

double real(PyObject* given) {
  const double x = PyFloat_AsDouble(given);
  if (x == -1 && PyErr_Occurred()) throw Raised();
  return x;
}

Sizes wholes(PyObject* given) {
  if (!PyTuple_Check(given)) {
    PyErr_SetString(PyExc_TypeError, "warpkit: a tuple is expected");
    throw Raised();
  }
  const Py_ssize_t n = PyTuple_Size(given);
  Sizes found(n);
  for (Py_ssize_t k = 0; k < n; k++) found[k] = whole(PyTuple_GetItem(given, k));
  return found;
}

template <class T = void>
T* address(PyObject* given) {
  T* found = static_cast<T*>(PyLong_AsVoidPtr(given));
  if (!found && PyErr_Occurred()) throw Raised();
  return found;
}

const Plan& plan_of(PyObject* capsule) {
  const void* found = PyCapsule_GetPointer(capsule, "warpkit.plan");
  if (!found) throw Raised();
  return *static_cast<const Plan*>(found);
}

// A tensor without numbers has no address, and none of an empty batch is read.
void check_addresses(const Plan& plan, std::initializer_list<const void*> each) {
  for (const void* one : each) check(one || plan.problem.images * plan.problem.points == 0, "a tensor has no numbers");
}

// Other threads of Python run meanwhile.
template <class Work>
void unlocked(const Work& work) {
  struct Lock {
    PyThreadState* state = PyEval_SaveThread();
    ~Lock() { PyEval_RestoreThread(state); }
  } lock;
  work();
}

// A function of Python that takes `COUNT` arguments.
template <Py_ssize_t COUNT, PyObject* (*CALL)(PyObject* const*)>
PyObject* called(PyObject*, PyObject* const* arguments, Py_ssize_t n) {
  try {
    if (n != COUNT) throw std::invalid_argument("warpkit: " + std::to_string(COUNT) + " arguments are expected");
    return CALL(arguments);
  } catch (const Raised&) {
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

PyObject* nothing() {
  Py_INCREF(Py_None);
  return Py_None;
}

PyObject* plan_call(PyObject* const* a) {
  Given given{
      wholes(a[0]), wholes(a[1]), wholes(a[2]), wholes(a[3]), wholes(a[4]), wholes(a[5]), wholes(a[6]), wholes(a[7]),
      wholes(a[8])};
  given.channels_last = whole(a[9]);
  given.wide = whole(a[10]);
  given.align_corners = whole(a[11]);
  given.copies = whole(a[12]);
  given.stored = whole(a[13]);
  given.bytes = whole(a[14]);
  given.kind = whole(a[15]);
  given.table = address<double>(a[16]);
  given.numbers = whole(a[17]);
  given.fill = address(a[18]);
  given.fills = whole(a[19]);
  std::unique_ptr<Plan> plan = planned(given);
  PyObject* capsule = PyCapsule_New(plan.get(), "warpkit.plan", [](PyObject* it) {
    delete static_cast<Plan*>(PyCapsule_GetPointer(it, "warpkit.plan"));
  });
  if (capsule) plan.release();
  return capsule;
}

PyObject* pull_call(PyObject* const* a) {
  const Plan& plan = plan_of(a[0]);
  void *image = address(a[1]), *where = address(a[2]), *output = address(a[3]);
  check_addresses(plan, {image, where, output});
  unlocked([&] { pull(plan, image, where, output); });
  return nothing();
}

PyObject* push_call(PyObject* const* a) {
  const Plan& plan = plan_of(a[0]);
  void *values = address(a[1]), *where = address(a[2]), *image = address(a[3]);
  check(plan.is_real(), "only float32 and float64 values are pushed");
  check_addresses(plan, {values, where, image});
  unlocked([&] { (plan.is_double() ? push<double> : push<float>)(plan, values, where, image); });
  return nothing();
}

PyObject* gradients_call(PyObject* const* a) {
  const Plan& plan = plan_of(a[0]);
  void *grad = address(a[1]), *image = address(a[2]), *where = address(a[3]);
  const Wanted to{address(a[4]), address(a[5]), address<double>(a[6])};
  check(plan.is_real(), "only float32 and float64 images have gradients");
  check_addresses(plan, {grad, image, where});
  unlocked([&] { (plan.is_double() ? gradients<double> : gradients<float>)(plan, grad, image, where, to); });
  return nothing();
}

// Of a dense image [outer, n, inner] and, with zeros in it where the adjoint is wanted, of what becomes of it.
PyObject* filter_call(PyObject* const* a) {
  const void* from = address(a[0]);
  void* to = address(a[1]);
  const Sizes sizes = wholes(a[2]);  // outer, n, inner, length, first, kept
  check(sizes.size() == 6);
  Filter f{sizes[0], sizes[2], sizes[1], address<int64_t>(a[3]), sizes[3], sizes[4], sizes[5], {}, real(a[5])};
  check(PyTuple_Check(a[4]) && PyTuple_Size(a[4]) < MAX_TAPS);
  for (Py_ssize_t k = 0; k < PyTuple_Size(a[4]); k++) f.poles.push_back(real(PyTuple_GetItem(a[4], k)));
  const bool twice = whole(a[6]), adjoint = whole(a[7]);
  check(
      product({f.outer, f.n, f.inner}) > 0 && product({f.outer, f.kept, f.inner}) > 0 && f.first >= 0 &&
      f.kept <= f.length - f.first && f.length < int64_t(1) << 40 && from && to && f.source);
  for (int64_t k = 0; k < f.length; k++) check(f.source[k] < f.n);
  unlocked([&] {
    if (twice)
      run_filter(f, static_cast<const double*>(from), static_cast<double*>(to), adjoint);
    else
      run_filter(f, static_cast<const float*>(from), static_cast<float*>(to), adjoint);
  });
  return nothing();
}

PyObject* level_call(PyObject* const*) { return PyUnicode_FromString(level().name); }
PyObject* constants_call(PyObject* const*) { return PyUnicode_FromString(constants().c_str()); }

template <Py_ssize_t COUNT, PyObject* (*CALL)(PyObject* const*)>
PyMethodDef method(const char* name) {
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&called<COUNT, CALL>)), METH_FASTCALL, nullptr};
}

PyMethodDef methods[] = {
    method<PLAN, plan_call>("plan"),
    method<4, pull_call>("pull"),
    method<4, push_call>("push"),
    method<7, gradients_call>("gradients"),
    method<8, filter_call>("filter"),
    method<0, level_call>("level"),
    method<0, constants_call>("constants"),
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace
}  // namespace warpkit

extern "C" PyObject* PyInit__native(void) {
  static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_native", nullptr, -1, warpkit::methods};
  return PyModule_Create(&definition);
}
