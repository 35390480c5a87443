// From the gradients of pixel coordinates and weights to those of the coordinates, the matrix and the tables.
// Included once for each instruction set: loops.inl undoes the guard.
#ifndef WARPKIT_GRADIENTS
#define WARPKIT_GRADIENTS

#include "block.h"

template <class S>
struct Slopes {
  alignas(64) S slope[3][LANES];          // gradient of each pixel coordinate
  alignas(64) S tap[3][MAX_TAPS][LANES];  // gradient of each tap's weight: where the tables' gradient is wanted
  alignas(64) S fill[LANES];              // Σ over channels of gradient · fill
};

template <bool TABLE, class S>
inline void clear(const Problem& p, const Block<S>& b, Slopes<S>& s) {
  for (int i = 0; i < b.lanes; i++) s.fill[i] = 0;
  for (int a = 0; a < p.dims; a++) {
    for (int i = 0; i < b.lanes; i++) s.slope[a][i] = 0;
    if (TABLE)
      for (int t = 0; t < p.axis[a].taps; t++)
        for (int i = 0; i < b.lanes; i++) s.tap[a][t][i] = 0;
  }
}

// What is filled in shrinks as the weights of the taps that are read grow.
template <bool TABLE, class S>
inline void give_fill(const Problem& p, const Block<S>& b, Slopes<S>& s) {
  for (int i = 0; i < b.n; i++) {
    if (b.any_dead && b.dead[i]) continue;
    const Share<S> share = Share<S>::template of<true>(p, b, i);
    for (int a = 0; a < p.dims; a++) {
      const S others = s.fill[i] * share.product(p.dims, a);
      s.slope[a][i] -= others * share.slope[a];
      if (TABLE && !share.whole[a])
        for (int t = 0; t < p.axis[a].taps; t++)
          if (is_read(p.axis[a], b.axis[a].first[i] + t)) s.tap[a][t][i] -= others;
    }
  }
}

// The sums that make the gradient of the matrix, which needs those of g · (x, y, z, 1) for each of its rows.
template <class S>
inline void give_matrix(const Problem& p, const Block<S>& b, const Slopes<S>& s, double* out, int64_t row, int64_t column) {
  const int d = p.dims;
  const int64_t x0 = p.origin[0] + column;
  const double y = double(p.origin[1] + (d > 1 ? row % p.out_size[1] : 0));
  const double z = double(p.origin[2] + (d > 2 ? row / p.out_size[1] : 0));
  double value[4][LANES];
  for (int a = 0; a < d; a++) {
    const double half = half_extent(p, a);
    for (int i = 0; i < b.lanes; i++) value[a][i] = double(i < b.n ? s.slope[a][i] : S(0)) * half;
  }
  if (p.where == PROJECTIVE)
    for (int i = 0; i < b.lanes; i++) {
      value[d][i] = 0;
      if (i >= b.n) continue;
      const double inverse = 1 / b.divisor[i];
      for (int a = 0; a < d; a++) {
        value[a][i] *= inverse;
        value[d][i] -= double(s.slope[a][i]) * (b.map.slope[a] * double(x0 + i) + b.map.start[a]) * inverse * inverse;
      }
      if (b.any_dead && b.dead[i])
        for (int a = 0; a <= d; a++) value[a][i] = 0;
    }
  for (int a = 0; a < (p.where == PROJECTIVE ? d + 1 : d); a++) {
    using W = Wide<double>;  // side by side: one sum would wait for itself
    W::Vector at_x = {}, plain = {}, x = {0, 1, 2, 3, 4, 5, 6, 7};
    for (int i = 0; i < b.lanes; i += W::SIZE, x += double(W::SIZE)) {
      at_x += W::load(value[a] + i) * x;
      plain += W::load(value[a] + i);
    }
    const double all = W::sum(plain);
    out[a * 4] += W::sum(at_x) + all * double(x0);
    out[a * 4 + 1] += all * y;
    out[a * 4 + 2] += all * z;
    out[a * 4 + 3] += all;
  }
}

template <class S>
inline void give_table(const Problem& p, const Block<S>& b, const Slopes<S>& s, double* out) {
  for (int a = 0; a < p.dims; a++) {
    const Axis& axis = p.axis[a];
    for (int t = 0; t < axis.taps; t++)
      for (int i = 0; i < b.n; i++) {
        if (b.any_dead && b.dead[i]) continue;
        const int piece = axis.pieces > 1 ? b.axis[a].piece[i] : 0;
        double* row = out + axis.start + (int64_t(piece) * axis.taps + t) * (axis.degree + 1);
        double power = s.tap[a][t][i];
        for (int k = 0; k <= axis.degree; k++) {
          row[k] += power;
          power *= double(b.axis[a].u[i]);
        }
      }
  }
}

template <bool TABLE, class S>
inline void give(
    const Problem& p, const Block<S>& b, Slopes<S>& s, const Gradients<S>& g, const Part& part, int64_t row, int64_t x0,
    int64_t point) {
  if (fills(p, b)) give_fill<TABLE>(p, b, s);
  if (b.any_dead)
    for (int a = 0; a < p.dims; a++)
      for (int i = 0; i < b.lanes; i++) s.slope[a][i] = b.dead[i] ? S(0) : s.slope[a][i];
  if (g.coords) {
    const auto write = [&](auto* out) {
      using X = std::decay_t<decltype(*out)>;
      out += (part.image * p.points + point) * p.dims;
      with_dims(p.dims, [&](auto dims) {
        X half[3];
        for (int a = 0; a < dims; a++) half[a] = X(half_extent(p, a));
        const auto some = [&](int n) ALWAYS {
          for (int i = 0; i < n; i++)
            for (int a = 0; a < dims; a++) out[i * dims + a] = X(s.slope[a][i]) * half[a];
        };
        b.n == LANES ? some(LANES) : some(b.n);
      });
    };
    if (p.wide_points)
      write(static_cast<double*>(g.coords));
    else
      write(static_cast<float*>(g.coords));
  }
  if (g.matrix) give_matrix(p, b, s, g.matrix, row, x0);
  if (TABLE) give_table(p, b, s, g.table);
}

#endif
