// Blocks that lie inside the image: the taps along x are neighbours in memory, and one vector holds them.
// Included by loops.inl.

template <class S, int TAPS>
struct RowOf {
  static constexpr int WIDTH = TAPS <= 2 ? 2 : TAPS <= 4 ? 4 : 8;
  typedef S Vector __attribute__((vector_size(WIDTH * sizeof(S))));

  static Vector load(const S* from) {
    Vector v = {};
    std::memcpy(&v, from, TAPS * sizeof(S));
    return v;
  }
  static void add(S* to, Vector v) {
    v += load(to);
    std::memcpy(to, &v, TAPS * sizeof(S));
  }
  static S sum(const Vector& v) {
    if constexpr (WIDTH == 2) return v[0] + v[1];
    if constexpr (WIDTH == 4) return (v[0] + v[2]) + (v[1] + v[3]);
    S total = v[0];
    for (int t = 1; t < TAPS; t++) total += v[t];
    return total;
  }
};

// Coefficients of all taps along x, one vector for each power.
template <class S, int TAPS>
struct RowTable {
  using Row = RowOf<S, TAPS>;
  typename Row::Vector c[16];
  int degree;

  explicit RowTable(const Axis& axis) : degree(axis.degree) {
    for (int k = 0; k <= degree; k++) {
      c[k] = typename Row::Vector{};
      for (int t = 0; t < TAPS; t++) c[k][t] = S(axis.table[t * (degree + 1) + k]);
    }
  }
  template <int DEGREE, bool SLOPES>
  void at(S u, typename Row::Vector& w, typename Row::Vector& d) const {
    const int top = DEGREE >= 0 ? DEGREE : degree;
    w = c[top];
    d = typename Row::Vector{};
    for (int k = top - 1; k >= 0; k--) {
      if (SLOPES) d = d * u + w;
      w = w * u + c[k];
    }
  }
};

template <int TAPS>
inline bool rows_serve(const Problem& p) {
  return TAPS > 1 && p.axis[0].taps == TAPS && p.axis[0].pieces == 1 && p.pixel_stride == 1 && (!fills(p) || unity(p));
}

template <int TAPS, int DEGREE, class S>
inline void forward_rows_of(const Problem& p, const Block<S>& b, const S* u, int count, S (*sum)[LANES]) {
  using Row = RowOf<S, TAPS>;
  const RowTable<S, TAPS> table(p.axis[0]);
  const int ys = p.dims > 1 ? p.axis[1].taps : 1, zs = p.dims > 2 ? p.axis[2].taps : 1;
  const bool square = p.dims == 2 && ys == TAPS;
  const int64_t stride = p.axis[1].stride;
  for (int i = 0; i < b.n; i++) {
    typename Row::Vector w, unused;
    table.template at<DEGREE, false>(b.axis[0].u[i], w, unused);
    const S* corner = u + b.axis[0].at[0][i];
    for (int c = 0; c < count; c++, corner += p.channel_stride) {
      typename Row::Vector rows = {};
      if (square) {  // unrolled
        const S* pixel = corner + b.axis[1].at[0][i];
        for (int y = 0; y < TAPS; y++) rows += b.axis[1].weight[y][i] * Row::load(pixel + y * stride);
      } else if (p.dims == 2) {
        const S* pixel = corner + b.axis[1].at[0][i];
        for (int y = 0; y < ys; y++, pixel += p.axis[1].stride) rows += b.axis[1].weight[y][i] * Row::load(pixel);
      } else if (p.dims == 1) {
        rows = Row::load(corner);
      } else {
        for (int z = 0; z < zs; z++) {
          const S* pixel = corner + b.axis[2].at[z][i] + b.axis[1].at[0][i];
          typename Row::Vector plane = {};
          for (int y = 0; y < ys; y++, pixel += p.axis[1].stride) plane += b.axis[1].weight[y][i] * Row::load(pixel);
          rows += b.axis[2].weight[z][i] * plane;
        }
      }
      sum[c][i] = Row::sum(rows * w);
    }
  }
}

template <int TAPS, class S>
inline void forward_rows(const Problem& p, const Block<S>& b, const S* u, int count, S (*sum)[LANES]) {
  if (p.axis[0].degree == TAPS - 1) return forward_rows_of<TAPS, TAPS - 1>(p, b, u, count, sum);
  forward_rows_of<TAPS, -1>(p, b, u, count, sum);
}

template <int TAPS, bool WHERE, bool IMAGE, class S>
inline void backward_rows(
    const Problem& p, const Block<S>& b, const S* u, S* du, const Gradients<S>& g, int64_t n, int64_t row, int64_t x0,
    int64_t point) {
  using Row = RowOf<S, TAPS>;
  using Vector = typename Row::Vector;
  const RowTable<S, TAPS> table(p.axis[0]);
  const int ys = p.dims > 1 ? p.axis[1].taps : 1, zs = p.dims > 2 ? p.axis[2].taps : 1;
  S slope[3][LANES] = {};
  S grad[CHANNELS][LANES];
  for (int64_t c0 = 0; c0 < p.channels; c0 += CHANNELS) {
    const int count = int(p.channels - c0 < CHANNELS ? p.channels - c0 : CHANNELS);
    load_gradient(p, b, g, n, c0, count, point, grad);
    for (int i = 0; i < b.n; i++) {
      Vector w, d;
      if (table.degree == TAPS - 1)
        table.template at<TAPS - 1, WHERE>(b.axis[0].u[i], w, d);
      else
        table.template at<-1, WHERE>(b.axis[0].u[i], w, d);
      Vector along_x = {}, along_y = {}, along_z = {};
      for (int z = 0; z < zs; z++)
        for (int y = 0; y < ys; y++) {
          const Index at = b.axis[0].at[0][i] + (p.dims > 1 ? b.axis[1].at[y][i] : 0) + (p.dims > 2 ? b.axis[2].at[z][i] : 0);
          S outer = p.dims > 1 ? b.axis[1].weight[y][i] : S(1);
          if (p.dims > 2) outer *= b.axis[2].weight[z][i];
          Vector dot = {};
          for (int c = 0; c < count; c++) {
            const int64_t offset = (c0 + c) * p.channel_stride + at;
            if (WHERE) dot += grad[c][i] * Row::load(u + offset);
            if (IMAGE) Row::add(du + offset, (grad[c][i] * outer) * w);
          }
          if (WHERE) {
            along_x += outer * dot;
            if (p.dims == 2) along_y += b.axis[1].slope[y][i] * dot;
            if (p.dims == 3) {
              along_y += (b.axis[1].slope[y][i] * b.axis[2].weight[z][i]) * dot;
              along_z += (b.axis[1].weight[y][i] * b.axis[2].slope[z][i]) * dot;
            }
          }
        }
      if (WHERE) {
        slope[0][i] += Row::sum(along_x * d);
        if (p.dims > 1) slope[1][i] += Row::sum(along_y * w);
        if (p.dims > 2) slope[2][i] += Row::sum(along_z * w);
      }
    }
  }
  if (WHERE) give(p, b, slope, g, n, row, x0, point);
}
