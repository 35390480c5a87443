// Coordinates → taps: for each output point and axis, which pixels are met and with which weight and slope.
// Included by loops.inl, inside the namespace of one instruction set.

constexpr double LIMIT = 1 << 30;  // pixels; further out every index is outside, and int32 never overflows

// Pixel coordinates of up to LANES points of a row.
template <class X>
struct Coordinates {
  X x[3][LANES];
  double divisor[LANES];  // w of a projective matrix
  bool any_dead;          // some are not finite, or lie behind the horizon
  int dead[LANES];
};

template <class S>
struct Taps {
  using Mask = typename std::conditional<sizeof(S) == 4, int32_t, int64_t>::type;
  S weight[MAX_TAPS][LANES], slope[MAX_TAPS][LANES];
  Index at[MAX_TAPS][LANES];     // element offset of the pixel
  Mask inside[MAX_TAPS][LANES];  // −1 or 0; filled in only where `masked`
  S u[LANES];                    // fraction of the piece
  int piece[LANES];
  bool masked;      // some tap is not to be read
  bool all_inside;  // no tap needed the boundary's rule
};

inline int padded(int n) { return (n + 15) / 16 * 16; }

// The affine map from output index to image index (or, before the division, to normalised coordinates) of one row.
struct RowMap {
  double slope[4], start[4];
};

inline RowMap row_map(const Problem& p, int64_t n, int64_t row) {
  const int d = p.dims, e = d + 1;
  const double* m = p.matrix + (p.where_shared ? 0 : n * e * e);
  const int64_t index[3] = {0, row % p.out_size[1], row / p.out_size[1]};
  RowMap map;
  for (int a = 0; a < e; a++) {
    double start = m[a * e + d];
    for (int b = 0; b < d; b++) {
      const int64_t size = p.out_size[b];
      const double scale = p.align_corners ? (size > 1 ? 2.0 / (size - 1) : 0.0) : 2.0 / size;
      const double offset = p.align_corners ? (size > 1 ? -1.0 : 0.0) : 1.0 / size - 1;
      start += m[a * e + b] * (b ? scale * index[b] + offset : offset);
      if (b == 0) map.slope[a] = m[a * e] * scale;
    }
    map.start[a] = start;
  }
  return map;
}

inline double half_extent(const Problem& p, int a) {
  return p.align_corners ? (p.axis[a].size - 1) / 2.0 : p.axis[a].size / 2.0;
}

template <class X>
inline void finish(const Problem& p, int n, Coordinates<X>& c) {
  constexpr X limit = X(LIMIT);
  int strange = 0;
  for (int a = 0; a < p.dims; a++)
    for (int i = 0; i < n; i++) strange |= !(std::fabs(c.x[a][i]) <= limit);  // a NaN too
  for (int i = 0; i < n; i++) strange |= c.dead[i];
  c.any_dead = false;
  if (!strange) return;  // nearly always
  for (int i = 0; i < n; i++) {
    for (int a = 0; a < p.dims; a++) c.dead[i] = c.dead[i] || !std::isfinite(c.x[a][i]);
    for (int a = 0; a < p.dims; a++) {
      const X x = c.dead[i] ? X(0) : c.x[a][i];
      c.x[a][i] = x < -limit ? -limit : x > limit ? limit : x;
    }
    c.any_dead = c.any_dead || c.dead[i];
  }
}

inline void from_matrix(const Problem& p, const RowMap& map, int64_t x0, int n, Coordinates<double>& c) {
  const int d = p.dims;
  for (int i = 0; i < n; i++) c.dead[i] = false;
  if (p.where == AFFINE) {
    for (int a = 0; a < d; a++) {
      const double half = half_extent(p, a), centre = (p.axis[a].size - 1) / 2.0;
      const double slope = map.slope[a] * half, start = map.start[a] * half + centre + slope * double(x0);
      for (int i = 0; i < n; i++) c.x[a][i] = slope * double(i) + start;
    }
  } else {
    for (int i = 0; i < n; i++) {
      const double w = map.slope[d] * double(x0 + i) + map.start[d];
      const bool before = w > 1e-12;
      c.dead[i] = !before;
      c.divisor[i] = before ? w : 1.0;
    }
    for (int a = 0; a < d; a++) {
      const double half = half_extent(p, a), centre = (p.axis[a].size - 1) / 2.0;
      for (int i = 0; i < n; i++)
        c.x[a][i] = (map.slope[a] * double(x0 + i) + map.start[a]) / c.divisor[i] * half + centre;
    }
  }
  finish(p, n, c);
}

template <class X>
inline void from_points(const Problem& p, int64_t image, int64_t first, int n, Coordinates<X>& c) {
  const X* points = static_cast<const X*>(p.coords) + ((p.where_shared ? 0 : image * p.points) + first) * p.dims;
  for (int a = 0; a < p.dims; a++) {
    const X size = X(p.axis[a].size), half = X(half_extent(p, a));
    for (int i = 0; i < n; i++) {
      const X x = points[i * p.dims + a] + 1;
      c.x[a][i] = p.align_corners ? x * half : (x * size - 1) / 2;
    }
  }
  for (int i = 0; i < n; i++) c.dead[i] = false;
  finish(p, n, c);
}

inline int64_t modulo(int64_t i, int64_t n) {
  const int64_t r = i % n;
  return r < 0 ? r + n : r;
}

inline int64_t place(int64_t i, int64_t n, Padding padding, bool align_corners) {
  switch (padding) {
    case WRAP: return modulo(i, n);
    case REFLECTION: {
      if (align_corners) {
        if (n == 1) return 0;
        i = modulo(i, 2 * n - 2);
        return i < 2 * n - 2 - i ? i : 2 * n - 2 - i;
      }
      i = modulo(i, 2 * n);
      return i < 2 * n - 1 - i ? i : 2 * n - 1 - i;
    }
    default: return i < 0 ? 0 : i >= n ? n - 1 : i;
  }
}

// Horner's rule for a polynomial and its derivative; DEGREE −1: known only now.
template <int DEGREE, bool SLOPES, class S>
inline void polynomial(const S* c, int degree_, int n, const S* u, S pieces, S* weight, S* slope) {
  const int degree = DEGREE >= 0 ? DEGREE : degree_;
  for (int i = 0; i < n; i++) {
    S w = c[degree], d = 0;
    for (int k = degree - 1; k >= 0; k--) {
      if (SLOPES) d = d * u[i] + w;
      w = w * u[i] + c[k];
    }
    weight[i] = w;
    if (SLOPES) slope[i] = d * pieces;
  }
}

template <bool SLOPES, class S>
inline void weigh(const Axis& axis, int n, Taps<S>& taps) {
  const int width = axis.degree + 1;
  S c[64];
  if (axis.pieces > 1) {
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
    return;
  }
  for (int t = 0; t < axis.taps; t++) {
    for (int k = 0; k < width; k++) c[k] = S(axis.table[t * width + k]);
    S *w = taps.weight[t], *d = taps.slope[t];
    switch (axis.degree) {
      case 0: polynomial<0, SLOPES>(c, 0, n, taps.u, S(1), w, d); break;
      case 1: polynomial<1, SLOPES>(c, 1, n, taps.u, S(1), w, d); break;
      case 3: polynomial<3, SLOPES>(c, 3, n, taps.u, S(1), w, d); break;
      default: polynomial<-1, SLOPES>(c, axis.degree, n, taps.u, S(1), w, d);
    }
  }
}

// `n` is a multiple of 16: lanes behind the last point hold copies of it.
template <bool SLOPES, class S, class X>
inline void locate(const Problem& p, int a, const Coordinates<X>& c, int n, Taps<S>& taps) {
  const Axis& axis = p.axis[a];
  const X radius = X(axis.taps) / 2;
  // ε forgives the coordinate's own rounding: what is that near a joint is on it, and an identity is exact.
  const X eps = 2 * std::numeric_limits<X>::epsilon() * X(axis.size);
  int32_t first[LANES];
  X f[LANES];
  int32_t low = INT32_MAX, high = INT32_MIN;
  for (int i = 0; i < n; i++) {
    const X x = c.x[a][i];
    const X floor = std::floor(x - radius + eps) + 1;
    const X fraction = (x + (1 - radius)) - floor;
    f[i] = std::fabs(fraction) <= eps ? X(0) : fraction;
    first[i] = int32_t(floor);
  }
  for (int i = 0; i < n; i++) {
    low = first[i] < low ? first[i] : low;
    high = first[i] > high ? first[i] : high;
  }
  if (axis.pieces == 1) {
    for (int i = 0; i < n; i++) taps.u[i] = S(f[i]);
  } else {
    for (int i = 0; i < n; i++) {
      const S g = S(f[i]) ;
      const S piece = std::floor((g + S(eps)) * axis.pieces);
      taps.piece[i] = piece < 0 ? 0 : piece > axis.pieces - 1 ? axis.pieces - 1 : int(piece);
      taps.u[i] = g * axis.pieces - taps.piece[i];
    }
  }
  weigh<SLOPES>(axis, n, taps);
  if (SLOPES && (low < -(1 << 29) || high > 1 << 29))  // what was brought in to the limit does not move
    for (int i = 0; i < n; i++)
      if (std::fabs(c.x[a][i]) >= X(LIMIT))
        for (int t = 0; t < axis.taps; t++) taps.slope[t][i] = 0;
  const bool all_inside = taps.all_inside = low >= 0 && int64_t(high) + axis.taps <= axis.size;
  taps.masked = axis.padding == ZEROS && !all_inside;
  const Index stride = Index(axis.stride);
  for (int t = 0; t < axis.taps; t++) {
    if (all_inside) {
      for (int i = 0; i < n; i++) taps.at[t][i] = Index(first[i] + t) * stride;
      for (int i = 0; i < n; i++) taps.inside[t][i] = -1;
    } else {
      for (int i = 0; i < n; i++) {
        const int64_t j = int64_t(first[i]) + t;
        taps.at[t][i] = Index(place(j, axis.size, axis.padding, p.align_corners)) * stride;
        taps.inside[t][i] = axis.padding != ZEROS || (j >= 0 && j < axis.size) ? -1 : 0;
      }
    }
  }
}
