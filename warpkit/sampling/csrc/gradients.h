// From the gradient of each tap's weight to those of the coordinates, the matrix and the tables.
// Included by loops.inl.

// What a block gives for the taps' weights becomes gradients of coordinates, matrix and table.
template <class S>
struct Slopes {
  S tap[3][MAX_TAPS][LANES];  // gradient of each tap's weight
  S fill[LANES];              // Σ over channels of gradient · fill
};

template <class S>
inline void clear(const Problem& p, const Block<S>& b, Slopes<S>& s) {
  for (int a = 0; a < p.dims; a++)
    for (int t = 0; t < p.axis[a].taps; t++)
      for (int i = 0; i < b.lanes; i++) s.tap[a][t][i] = 0;
  for (int i = 0; i < b.lanes; i++) s.fill[i] = 0;
}

// The gradient in each pixel coordinate, to normalised coordinates or to the sums that make the matrix's.
template <class S>
inline void give(
    const Problem& p, const Block<S>& b, const S (*slope)[LANES], const Gradients<S>& g, int64_t n, int64_t row, int64_t x0,
    int64_t point) {
  const int d = p.dims;
  if (g.coords)
    for (int a = 0; a < d; a++) {
      const double half = half_extent(p, a);
      double* out = g.coords + (n * p.points + point) * d + a;
      for (int i = 0; i < b.n; i++) out[i * d] = double(slope[a][i]) * half;
    }
  if (!g.matrix) return;
  double* out = g.matrix + (n * g.groups + row / g.group_rows) * (d + 1) * 4;
  const double y = double(row % p.out_size[1]), z = double(row / p.out_size[1]);
  double value[4][LANES];
  for (int a = 0; a < d; a++) {
    const double half = half_extent(p, a);
    for (int i = 0; i < b.lanes; i++) value[a][i] = double(i < b.n ? slope[a][i] : S(0)) * half;
  }
  if (p.where == PROJECTIVE)
    for (int i = 0; i < b.lanes; i++) {
      value[d][i] = 0;
      if (i >= b.n) continue;
      for (int a = 0; a < d; a++) {
        value[a][i] /= b.divisor[i];
        value[d][i] -= value[a][i] * (b.map.slope[a] * double(x0 + i) + b.map.start[a]) / b.divisor[i];
      }
      if (b.any_dead && b.dead[i])
        for (int a = 0; a <= d; a++) value[a][i] = 0;
    }
  for (int a = 0; a < (p.where == PROJECTIVE ? d + 1 : d); a++) {
    double at_x[8] = {}, plain[8] = {};  // side by side: one sum would wait for itself
    for (int i = 0; i < b.lanes; i += 8)
      for (int k = 0; k < 8; k++) {
        at_x[k] += value[a][i + k] * double(i + k);
        plain[k] += value[a][i + k];
      }
    for (int k = 1; k < 8; k++) {
      at_x[0] += at_x[k];
      plain[0] += plain[k];
    }
    out[a * 4] += at_x[0] + plain[0] * double(x0);
    out[a * 4 + 1] += plain[0] * y;
    out[a * 4 + 2] += plain[0] * z;
    out[a * 4 + 3] += plain[0];
  }
}

// From the gradients of the taps' weights to those of the coordinates, and to the tables.
template <class S>
inline void collect(
    const Problem& p, const Block<S>& b, Slopes<S>& s, const Gradients<S>& g, int64_t n, int64_t row, int64_t x0, int64_t point) {
  if (fills(p, b)) {
    S share[3][LANES];
    share_inside(p, b, share);
    for (int a = 0; a < p.dims; a++)
      for (int i = 0; i < b.n; i++) {
        S others = s.fill[i];
        bool all = p.axis[a].unity;
        for (int o = 0; o < p.dims; o++) others *= o == a ? S(1) : share[o][i];
        for (int t = 0; t < p.axis[a].taps; t++) all = all && b.axis[a].inside[t][i];
        if (all || (b.any_dead && b.dead[i])) continue;
        for (int t = 0; t < p.axis[a].taps; t++)
          if (b.axis[a].inside[t][i]) s.tap[a][t][i] -= others;
      }
  }
  S slope[3][LANES];
  for (int a = 0; a < p.dims; a++) {
    for (int i = 0; i < b.lanes; i++) slope[a][i] = 0;
    for (int t = 0; t < p.axis[a].taps; t++)
      for (int i = 0; i < b.lanes; i++) slope[a][i] += s.tap[a][t][i] * b.axis[a].slope[t][i];
    if (b.any_dead)
      for (int i = 0; i < b.lanes; i++)
        if (b.dead[i]) slope[a][i] = 0;
  }
  give(p, b, slope, g, n, row, x0, point);
  if (!g.table) return;
  for (int a = 0; a < p.dims; a++) {
    const Axis& axis = p.axis[a];
    double* out = g.table + (n * g.groups + row / g.group_rows) * g.coefficients + axis.start;
    for (int t = 0; t < axis.taps; t++)
      for (int i = 0; i < b.n; i++) {
        if (b.any_dead && b.dead[i]) continue;
        const int piece = axis.pieces > 1 ? b.axis[a].piece[i] : 0;
        double* row_out = out + (int64_t(piece) * axis.taps + t) * (axis.degree + 1);
        double power = s.tap[a][t][i];
        for (int k = 0; k <= axis.degree; k++) {
          row_out[k] += power;
          power *= double(b.axis[a].u[i]);
        }
      }
  }
}

template <class S>
inline void spread(const Problem& p, const Block<S>& b, int y, int z, const S (*dot)[LANES], Slopes<S>& s) {
  const Taps<S>& x = b.axis[0];
  S along[LANES];
  for (int i = 0; i < b.lanes; i++) along[i] = 0;
  for (int t = 0; t < p.axis[0].taps; t++)
    for (int i = 0; i < b.lanes; i++) {
      const S outer = (p.dims > 1 ? b.axis[1].weight[y][i] : S(1)) * (p.dims > 2 ? b.axis[2].weight[z][i] : S(1));
      s.tap[0][t][i] += outer * dot[t][i];
      along[i] += x.weight[t][i] * dot[t][i];
    }
  if (p.dims > 1)
    for (int i = 0; i < b.lanes; i++) {
      s.tap[1][y][i] += along[i] * (p.dims > 2 ? b.axis[2].weight[z][i] : S(1));
      if (p.dims > 2) s.tap[2][z][i] += along[i] * b.axis[1].weight[y][i];
    }
}
