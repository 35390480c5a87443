// Coordinates → taps: for each output point and axis, the first pixel that is met, and each tap's weight and slope.
// Included once for each instruction set: loops.inl undoes the guard.
#ifndef WARPKIT_TAPS
#define WARPKIT_TAPS

#include "alone.h"

// Further out, in pixels, every index is outside and none overflows.
inline double limit_of(const Axis& axis) { return axis.extent < LONG_AXIS ? double(1 << 30) : double(int64_t(1) << 52); }

// As many numbers as one instruction takes at best; the compiler splits them where it takes fewer.
template <class S>
struct Wide {
  static constexpr int SIZE = 64 / sizeof(S);
  typedef S Vector __attribute__((vector_size(64)));
  typedef S Unaligned __attribute__((vector_size(64), aligned(sizeof(S))));

  static Vector load(const S* from) { return *reinterpret_cast<const Unaligned*>(from); }
  static void store(S* to, const Vector& v) { *reinterpret_cast<Unaligned*>(to) = v; }
  static S sum(const Vector& v) {  // in halves: one after the other would wait
    S part[SIZE];
    store(part, v);
    for (int n = SIZE / 2; n; n /= 2)
      for (int k = 0; k < n; k++) part[k] += part[k + n];
    return part[0];
  }
};

// Pixel coordinates of LANES points of a row; those behind its last one mean nothing.
template <class X>
struct Coordinates {
  alignas(64) X x[3][LANES];
  alignas(64) double divisor[LANES];  // w of a projective matrix
  bool any_dead;          // some are not finite, or lie behind the horizon
  alignas(64) int dead[LANES];  // filled in only then
};

template <class S>
struct Taps {
  alignas(64) S weight[MAX_TAPS][LANES];
  alignas(64) S slope[MAX_TAPS][LANES];
  alignas(64) S u[LANES];  // fraction of the piece
  alignas(64) int piece[LANES];
  alignas(64) Index first[LANES];  // the first tap's pixel among those that are stored; it may lie outside
  bool inside;         // all taps of all points lie in the image
  bool moved;          // ε put a point into the cell on its right
};

inline int padded(int n) { return (n + 15) / 16 * 16; }

inline double half_extent(const Problem& p, int a) {
  return p.align_corners ? (p.axis[a].extent - 1) / 2.0 : p.axis[a].extent / 2.0;
}

// Where the middle of −1 … 1 lies. Coordinates are those of the whole image, and what is stored comes in once they have
// become whole numbers: so a part of an image gives the same bits as the whole.
inline double centre(const Axis& axis) { return (axis.extent - 1) / 2.0; }

// Pixels of the image for a pixel of the output, where −1 … 1 of both meet: exactly 1 where they are equally large, so
// that an identity is one to the last bit. (2 / n · n / 2 is not.)
inline double ratio(const Problem& p, int a, int b) {
  const double in = double(p.axis[a].extent), out = double(p.whole[b]);
  if (!p.align_corners) return in / out;
  return out > 1 ? (in - 1) / (out - 1) : 0.0;
}

// The matrix of one image, and how far one step of the output goes: in pixels, and for w in normalised coordinates. m's
// last column is where the output's columns begin, in its middle row.
struct OutputMap {
  double m[4][4], step[4][3], middle[3] = {};  // rows x, y, z, w of the result

  OutputMap(const Problem& p, int64_t image) {
    if (p.where < AFFINE) return;
    const int d = p.dims, e = d + 1;
    const double* from = p.matrix + (p.where_shared ? 0 : image * e * e);
    for (int b = 0; b < d; b++) middle[b] = (p.whole[b] - 1) / 2.0;
    for (int a = 0; a < e; a++) {
      for (int b = 0; b < d; b++) {
        m[a][b] = from[a * e + b];
        step[a][b] = a < d ? ratio(p, a, b) : OutputAxis(p, b).scale;
      }
      m[a][d] = from[a * e + d] * (a < d ? half_extent(p, a) : 1.0) - m[a][0] * middle[0] * step[a][0];
    }
  }
};

// The same along one row: slope · x + start, in pixels from the image's middle (before the division by w, if any). The
// output is counted from its middle, too, so that an identity is one to the last bit.
struct RowMap {
  double slope[4], start[4];

  RowMap() = default;
  RowMap(const Problem& p, const OutputMap& map, int64_t row) {
    const int d = p.dims;
    const double y = d > 1 ? double(p.origin[1] + (d > 2 ? row % p.out_size[1] : row)) - map.middle[1] : 0;
    const double z = d > 2 ? double(p.origin[2] + row / p.out_size[1]) - map.middle[2] : 0;
    for (int a = 0; a <= d; a++) {
      slope[a] = map.m[a][0] * map.step[a][0];
      start[a] = map.m[a][d];
      if (d > 1) start[a] += map.m[a][1] * y * map.step[a][1];
      if (d > 2) start[a] += map.m[a][2] * z * map.step[a][2];
    }
  }
};

// What a coordinate's own rounding comes to.
template <class X>
inline X rounding(const Problem& p, int a) {
  return X(2 * p.epsilon * double(p.axis[a].extent));
}

// Under "none" nothing lies beyond −1 … 1.
template <class X>
inline bool is_beyond(const Problem& p, int a, X x) {
  if (p.axis[a].padding != NONE) return false;
  const X edge = (p.align_corners ? X(0) : X(0.5)) + rounding<X>(p, a);
  return !(x >= -edge && x <= X(p.axis[a].extent - 1) + edge);
}

// Dead points, and coordinates within the limits. `finite(a, i)`: whether what coordinate a was computed from is.
template <class X, class Finite>
inline void find_dead(const Problem& p, Coordinates<X>& c, const Finite& finite) {
  int strange = 0;
  for (int a = 0; a < p.dims; a++) {
    const X limit = X(limit_of(p.axis[a]));
    const X* x = c.x[a];
    for (int i = 0; i < LANES; i++) strange |= !(std::fabs(x[i]) <= limit);  // a NaN too
    if (p.axis[a].padding == NONE)
      for (int i = 0; i < LANES; i++) strange |= is_beyond(p, a, c.x[a][i]);
  }
  if (!strange) return;  // nearly always
  if (!c.any_dead)
    for (int i = 0; i < LANES; i++) c.dead[i] = false;
  for (int i = 0; i < LANES; i++) {
    for (int a = 0; a < p.dims; a++) c.dead[i] = c.dead[i] || !finite(a, i) || is_beyond(p, a, c.x[a][i]);
    for (int a = 0; a < p.dims; a++) {
      const X x = c.dead[i] ? X(0) : c.x[a][i], limit = X(limit_of(p.axis[a]));
      c.x[a][i] = x < -limit ? -limit : x > limit ? limit : x;
    }
    c.any_dead = c.any_dead || c.dead[i];
  }
}

inline void from_matrix(const Problem& p, const RowMap& map, int64_t column, Coordinates<double>& c) {
  const int d = p.dims;
  const int64_t x0 = p.origin[0] + column;
  c.any_dead = false;
  if (p.where == AFFINE) {
    bool near = true;  // a straight line is where its ends are
    for (int a = 0; a < d; a++) {
      const double start = map.start[a] + centre(p.axis[a]) + map.slope[a] * double(x0);
      for (int i = 0; i < LANES; i++) c.x[a][i] = map.slope[a] * double(i) + start;
      near = near && std::fabs(c.x[a][0]) <= limit_of(p.axis[a]) && std::fabs(c.x[a][LANES - 1]) <= limit_of(p.axis[a]) &&
             p.axis[a].padding != NONE;
    }
    if (near) return;
  } else {
    int behind = 0;
    for (int i = 0; i < LANES; i++) {
      const double w = map.slope[d] * double(x0 + i) + map.start[d];
      const bool before = w > 1e-12;
      behind |= c.dead[i] = !before;
      c.divisor[i] = before ? w : 1.0;
    }
    c.any_dead = behind;
    for (int a = 0; a < d; a++) {
      const double middle = centre(p.axis[a]);
      for (int i = 0; i < LANES; i++) c.x[a][i] = (map.slope[a] * double(x0 + i) + map.start[a]) / c.divisor[i] + middle;
    }
  }
  find_dead(p, c, [&](int a, int i) { return std::isfinite(c.x[a][i]); });
}

// Calls work(number of dimensions) with a constant.
template <class Work>
inline ALWAYS void with_dims(int dims, const Work& work) {
  switch (dims) {
    case 1: return work(std::integral_constant<int, 1>());
    case 2: return work(std::integral_constant<int, 2>());
    default: return work(std::integral_constant<int, 3>());
  }
}

// The coordinates of a run of points as they are given: x, y, z of each. Of LANES points, even where there are fewer.
template <class U>
struct Given {
  alignas(64) U some[3 * LANES];
  const U* all;

  Given(const Problem& p, int64_t image, int64_t first, int n) {
    all = static_cast<const U*>(p.coords) + ((p.where_shared ? 0 : image * p.points) + first) * p.dims;
    if (n == LANES) return;
    std::memcpy(some, all, n * p.dims * sizeof(U));
    std::fill(some + n * p.dims, some + LANES * p.dims, U(0));
    all = some;
  }
};

// `first`: of the run, among all points.
template <class X>
inline void from_points(const Problem& p, int64_t image, int64_t first, int n, Coordinates<X>& c) {
  const Given<X> points(p, image, first, n);
  with_dims(p.dims, [&](auto dims) {
    for (int a = 0; a < dims; a++) {
      const X size = X(p.axis[a].extent), half = X(half_extent(p, a));
      const X* from = points.all + a;
      if (p.align_corners)
        for (int i = 0; i < LANES; i++) c.x[a][i] = (from[i * dims] + 1) * half;
      else
        for (int i = 0; i < LANES; i++) c.x[a][i] = ((from[i * dims] + 1) * size - 1) / 2;
    }
  });
  c.any_dead = false;
  find_dead(p, c, [&](int a, int i) { return std::isfinite(points.all[i * p.dims + a]); });
}

// Where the output pixel itself lies, which is exact, and how far it is shifted.
template <class U>
inline void from_shifts(const Problem& p, int64_t image, int64_t row, int64_t x0, int n, Coordinates<double>& c) {
  const Given<U> shifts(p, image, row * p.length + x0, n);
  const int64_t at[3] = {p.origin[0] + x0, p.origin[1] + row % p.out_size[1], p.origin[2] + row / p.out_size[1]};
  for (int a = 0; a < p.dims; a++) {
    const double half = half_extent(p, a), step = a == 0 ? ratio(p, a, a) : 0.0;
    const double start = ratio(p, a, a) * (double(at[a]) - (p.whole[a] - 1) / 2.0) + centre(p.axis[a]);
    with_dims(p.dims, [&](auto dims) {
      const U* from = shifts.all + a;
      for (int i = 0; i < LANES; i++) c.x[a][i] = step * double(i) + start + half * double(from[i * dims]);
    });
  }
  c.any_dead = false;
  find_dead(p, c, [&](int a, int i) { return std::isfinite(shifts.all[i * p.dims + a]); });
}

// The polynomials of all taps and their derivatives at u, by Horner's rule, from a table of one piece. TAPS 0: how many
// and of what degree is known only now.
template <int TAPS, int DEGREE, bool SLOPES, class S>
inline void polynomials(const Axis& axis, int n, Taps<S>& taps) {
  using W = Wide<S>;
  const int count = TAPS ? TAPS : axis.taps, degree = TAPS ? DEGREE : axis.degree;
  for (int i = 0; i < n; i += W::SIZE) {
    const typename W::Vector x = W::load(taps.u + i);
    for (int t = 0; t < count; t++) {
      const double* c = axis.table + t * (degree + 1);
      typename W::Vector w = x * 0 + S(c[degree]), d = {};
      for (int k = degree - 1; k >= 0; k--) {
        if (SLOPES) d = d * x + w;
        w = w * x + S(c[k]);
      }
      W::store(taps.weight[t] + i, w);
      if (SLOPES) W::store(taps.slope[t] + i, d);
    }
  }
}

template <bool SLOPES, class S>
inline void weigh(const Axis& axis, int n, Taps<S>& taps) {
  const int width = axis.degree + 1;
  if (axis.pieces == 1) {
    if (axis.taps == 2 && axis.degree == 1) return polynomials<2, 1, SLOPES>(axis, n, taps);
    if (axis.taps == 4 && axis.degree == 3) return polynomials<4, 3, SLOPES>(axis, n, taps);
    return polynomials<0, 0, SLOPES>(axis, n, taps);
  }
  for (int t = 0; t < axis.taps; t++)
    for (int i = 0; i < n; i++) {
      const double* row = axis.table + (int64_t(taps.piece[i]) * axis.taps + t) * width;
      S w = S(row[axis.degree]), d = 0;
      for (int k = axis.degree - 1; k >= 0; k--) {
        d = d * taps.u[i] + w;
        w = w * taps.u[i] + S(row[k]);
      }
      taps.weight[t][i] = w;
      taps.slope[t][i] = d * S(axis.pieces);
    }
}

template <class X>
inline int64_t first_tap(const Problem& p, int a, X x, bool forgives) {
  return int64_t(std::floor(x - X(p.axis[a].taps) / 2 + (forgives ? rounding<X>(p, a) : X(0))) + 1) - p.axis[a].begin;
}

// `n` is a multiple of 16. `forgives`: what lies up to ε to the left of a
// joint is on its right side, since rounding says nothing of the side. There the fraction may be −ε, and the polynomial is
// continued by that much. Without, each point is in its own cell, and its value as exact as its coordinate.
template <bool SLOPES, class S, class X>
inline void locate(const Problem& p, int a, const Coordinates<X>& c, int n, bool forgives, Taps<S>& taps) {
  const Axis& axis = p.axis[a];
  const X radius = X(axis.taps) / 2;
  const X eps = forgives ? rounding<X>(p, a) : X(0);
  const Index last = Index(axis.size - axis.taps), begin = Index(axis.begin);
  alignas(64) X f[LANES];
  alignas(64) Index first[LANES];
  Index strange = 0;
  int moved = 0;
  for (int i = 0; i < n; i++) {
    const X x = c.x[a][i];
    const X floor = std::floor(x - radius + eps) + 1;
    f[i] = x - (floor + (radius - 1));
    moved |= f[i] < 0;
    first[i] = Index(floor) - begin;
    taps.first[i] = first[i];
    taps.u[i] = S(f[i]);
    strange |= first[i] | (last - first[i]);
  }
  taps.moved = moved && !axis.jumps;
  taps.inside = strange >= 0;  // no sign bit
  if (axis.pieces > 1) {
    for (int i = 0; i < n; i++) {
      const S g = S(f[i]);
      const S piece = std::floor((g + S(eps)) * axis.pieces);
      taps.piece[i] = piece < 0 ? 0 : piece > axis.pieces - 1 ? axis.pieces - 1 : int(piece);
      taps.u[i] = g * axis.pieces - taps.piece[i];
    }
  }
  weigh<SLOPES>(axis, n, taps);
  if ((SLOPES || axis.order > 0) && !taps.inside)  // what was brought in to the limit does not move
    for (int i = 0; i < n; i++)
      if (std::fabs(c.x[a][i]) >= X(limit_of(axis)))
        for (int t = 0; t < axis.taps; t++) {
          if (SLOPES) taps.slope[t][i] = 0;
          if (axis.order > 0) taps.weight[t][i] = 0;
        }
}

// All of the above for a straight row of float32 weights, in whole numbers of 2⁻³² pixels: an addition gives the next
// point, its upper half is the pixel and its lower half the fraction. False where a coordinate is too large for that.
template <bool SLOPES, class S>
inline bool locate_line(const Problem& p, int a, const RowMap& map, int64_t column, int lanes, Taps<S>& taps) {
  constexpr double UNIT = 4294967296.0;
  const Axis& axis = p.axis[a];
  const double slope = map.slope[a];
  const double start = map.start[a] + centre(axis) + slope * double(p.origin[0] + column) + (1 - axis.taps / 2.0);
  if (!(std::fabs(start) + std::fabs(slope) * LANES < limit_of(axis))) return false;
  constexpr int FORGIVEN = 64;  // of these units, what rounding the step can come to: the ε of `locate`
  taps.moved = false;
  const int64_t step = std::llrint(slope * UNIT), from = std::llrint(start * UNIT) + FORGIVEN;
  const int32_t last = int32_t(axis.size - axis.taps), begin = int32_t(axis.begin);
  int32_t strange = 0;
  for (int i = 0; i < lanes; i++) {  // lanes behind the last point go on along the line
    const int64_t at = from + step * i;
    const int32_t first = int32_t(at >> 32) - begin, fraction = int32_t(uint32_t(at) >> 1) - FORGIVEN / 2;
    taps.first[i] = first;
    strange |= first | (last - first);
    taps.u[i] = fraction < FORGIVEN / 2 ? S(0) : S(fraction) * S(1 / 2147483648.0);
  }
  taps.inside = strange >= 0;
  weigh<SLOPES>(axis, lanes, taps);
  return true;
}

#endif
