// Eq. 3 and its gradients, over blocks of LANES output points.
// Included once for each instruction set, inside a namespace of its own.

using Index = WARPKIT_INDEX;

#include "taps.h"

// The taps of one block: all that depends on the coordinates and not on the channels.
template <class S>
struct Block {
  Taps<S> axis[3];
  RowMap map;
  double divisor[LANES], numerator[3][LANES];
  bool dead[LANES], any_dead, masked;
  bool inside;   // every tap of every point lies inside the image, where neighbours are neighbours
  int n, lanes;  // points, and these rounded up to whole vectors
};

struct Band {  // the slowest indices low … high whose pixels are wanted
  int64_t low, high;
};

template <bool SLOPES, class S, class X>
inline bool prepare(const Problem& p, const Coordinates<X>& c, const Band* band, Block<S>& b) {
  b.any_dead = c.any_dead;
  if (c.any_dead)
    for (int i = 0; i < b.lanes; i++) b.dead[i] = c.dead[i];
  const int slow = p.dims - 1;
  locate<SLOPES>(p, slow, c, b.lanes, b.axis[slow]);
  if (band) {
    Taps<S>& taps = b.axis[slow];
    const Index low = Index(band->low * p.axis[slow].stride), high = Index(band->high * p.axis[slow].stride);
    int some = 0, all = 1;
    for (int t = 0; t < p.axis[slow].taps; t++)
      for (int i = 0; i < b.lanes; i++) {
        const int in = taps.at[t][i] >= low && taps.at[t][i] < high;
        taps.inside[t][i] = in ? taps.inside[t][i] : 0;
        some |= in;
        all &= in;
      }
    if (!some) return false;
    taps.masked |= !all;
  }
  for (int a = 0; a < slow; a++) locate<SLOPES>(p, a, c, b.lanes, b.axis[a]);
  if (c.any_dead) {
    for (int t = 0; t < p.axis[0].taps; t++)
      for (int i = 0; i < b.lanes; i++)
        if (c.dead[i]) b.axis[0].inside[t][i] = 0;
    b.axis[0].masked = true;
  }
  b.masked = false;
  b.inside = !c.any_dead;
  for (int a = 0; a < p.dims; a++) {
    b.masked |= b.axis[a].masked;
    b.inside = b.inside && b.axis[a].all_inside;
  }
  b.inside = b.inside && !b.masked;
  return true;
}

template <class X>
inline void repeat_last(int dims, int n, int lanes, Coordinates<X>& c) {
  for (int i = n; i < lanes; i++) {
    for (int a = 0; a < dims; a++) c.x[a][i] = c.x[a][n - 1];
    c.dead[i] = c.dead[n - 1];
  }
}

// One block of a row: points x0 … x0 + n. False where a band has no part in it.
template <bool SLOPES, class S>
inline bool block_at(const Problem& p, int64_t image, int64_t row, int64_t x0, int n, const Band* band, Block<S>& b) {
  b.n = n;
  b.lanes = padded(n);
  if (p.where != POINTS || p.wide_points) {
    Coordinates<double> c;
    if (p.where == POINTS)
      from_points(p, image, row * p.length + x0, n, c);
    else
      from_matrix(p, b.map, x0, n, c);
    repeat_last(p.dims, n, b.lanes, c);
    if (SLOPES && p.where == PROJECTIVE)
      for (int i = 0; i < n; i++) b.divisor[i] = c.divisor[i];
    return prepare<SLOPES>(p, c, band, b);
  }
  Coordinates<float> c;
  from_points(p, image, row * p.length + x0, n, c);
  repeat_last(p.dims, n, b.lanes, c);
  return prepare<SLOPES>(p, c, band, b);
}

template <bool SLOPES, class S, class Work>
inline void for_blocks(const Problem& p, int64_t image, int64_t first, int64_t last, const Band* band, const Work& work) {
  Block<S> block;
  for (int64_t row = first; row < last; row++) {
    const int64_t begin = row * p.length;
    const int64_t length = p.points - begin < p.length ? p.points - begin : p.length;
    if (p.where != POINTS) block.map = row_map(p, image, row);
    for (int64_t x0 = 0; x0 < length; x0 += LANES) {
      const int n = int(length - x0 < LANES ? length - x0 : LANES);
      if (block_at<SLOPES>(p, image, row, x0, n, band, block)) work(block, row, x0, begin + x0);
    }
  }
}

// The taps of all axes but x, joined: calls work(y, z, offsets, weights, inside) for each.
template <class S, class Work>
inline void for_outer_taps(const Problem& p, const Block<S>& b, const Work& work) {
  using Mask = typename Taps<S>::Mask;
  Index at[LANES];
  S weight[LANES];
  Mask inside[LANES];
  const int ys = p.dims > 1 ? p.axis[1].taps : 1, zs = p.dims > 2 ? p.axis[2].taps : 1;
  for (int z = 0; z < zs; z++)
    for (int y = 0; y < ys; y++) {
      for (int i = 0; i < b.lanes; i++) {
        at[i] = p.dims > 1 ? b.axis[1].at[y][i] : 0;
        weight[i] = p.dims > 1 ? b.axis[1].weight[y][i] : S(1);
      }
      if (p.dims > 2)
        for (int i = 0; i < b.lanes; i++) {
          at[i] += b.axis[2].at[z][i];
          weight[i] *= b.axis[2].weight[z][i];
        }
      if (b.masked)
        for (int i = 0; i < b.lanes; i++)
          inside[i] = (p.dims > 1 ? b.axis[1].inside[y][i] : Mask(-1)) & (p.dims > 2 ? b.axis[2].inside[z][i] : Mask(-1));
      work(y, z, at, weight, inside);
    }
}

// For each axis the weights that lie inside, added up; exactly 1 where all of them do.
template <class S>
inline void share_inside(const Problem& p, const Block<S>& b, S (*share)[LANES]) {
  for (int a = 0; a < p.dims; a++)
    for (int i = 0; i < b.lanes; i++) {
      S sum = 0;
      bool all = p.axis[a].unity;
      for (int t = 0; t < p.axis[a].taps; t++) {
        const bool in = b.axis[a].inside[t][i];
        sum += in ? b.axis[a].weight[t][i] : S(0);
        all = all && in;
      }
      share[a][i] = all ? S(1) : sum;
    }
}

// Whether something is filled in where taps lie outside.
inline bool fills(const Problem& p) {
  if (!p.fill) return false;
  for (int a = 0; a < p.dims; a++)
    if (p.axis[a].padding == ZEROS) return true;
  return false;
}

// Whether all weights together are one wherever every tap lies inside.
inline bool unity(const Problem& p) {
  for (int a = 0; a < p.dims; a++)
    if (!p.axis[a].unity) return false;
  return true;
}

template <class S>
inline bool fills(const Problem& p, const Block<S>& b) {
  return fills(p) && (b.masked || !unity(p));
}

// ---------------------------------------------------------------------------------------------- planar: a lane a point

constexpr int CHANNELS = 4;  // that are worked on together

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
    for (int i = 0; i < b.n; i++) value[a][i] = double(slope[a][i]) * half;
  }
  if (p.where == PROJECTIVE)
    for (int i = 0; i < b.n; i++) {
      value[d][i] = 0;
      for (int a = 0; a < d; a++) {
        value[a][i] /= b.divisor[i];
        value[d][i] -= value[a][i] * (b.map.slope[a] * double(x0 + i) + b.map.start[a]) / b.divisor[i];
      }
      if (b.any_dead && b.dead[i])
        for (int a = 0; a <= d; a++) value[a][i] = 0;
    }
  for (int a = 0; a < (p.where == PROJECTIVE ? d + 1 : d); a++) {
    double at_x = 0, plain = 0;
    for (int i = 0; i < b.n; i++) {
      at_x += value[a][i] * double(x0 + i);
      plain += value[a][i];
    }
    out[a * 4] += at_x;
    out[a * 4 + 1] += plain * y;
    out[a * 4 + 2] += plain * z;
    out[a * 4 + 3] += plain;
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

// Calls work(x, y, z, offset, outer weight, weight along x) for the taps of point i that lie inside.
template <class S, class Work>
inline void for_taps(const Problem& p, const Block<S>& b, int i, const Work& work) {
  const int ys = p.dims > 1 ? p.axis[1].taps : 1, zs = p.dims > 2 ? p.axis[2].taps : 1;
  for (int z = 0; z < zs; z++) {
    if (p.dims > 2 && b.masked && !b.axis[2].inside[z][i]) continue;
    for (int y = 0; y < ys; y++) {
      if (p.dims > 1 && b.masked && !b.axis[1].inside[y][i]) continue;
      const Index at = (p.dims > 1 ? b.axis[1].at[y][i] : 0) + (p.dims > 2 ? b.axis[2].at[z][i] : 0);
      S outer = p.dims > 1 ? b.axis[1].weight[y][i] : S(1);
      if (p.dims > 2) outer *= b.axis[2].weight[z][i];
      for (int x = 0; x < p.axis[0].taps; x++) {
        if (b.masked && !b.axis[0].inside[x][i]) continue;
        work(x, y, z, at + b.axis[0].at[x][i], outer, b.axis[0].weight[x][i]);
      }
    }
  }
}

template <class S>
inline void load_gradient(
    const Problem& p, const Block<S>& b, const Gradients<S>& g, int64_t n, int64_t c0, int count, int64_t point,
    S (*grad)[LANES]) {
  for (int c = 0; c < count; c++) {
    const S* from = g.output + p.out_offset(n, c0 + c, point);
    if (p.channels_last)
      for (int i = 0; i < b.n; i++) grad[c][i] = from[i * p.channels];
    else
      std::memcpy(grad[c], from, b.n * sizeof(S));
    for (int i = b.n; i < b.lanes; i++) grad[c][i] = 0;
  }
}

#include "rows.h"

template <class S>
inline void store(
    const Problem& p, const Block<S>& b, const S (*sum)[LANES], S* output, int64_t n, int64_t c0, int count, int64_t point) {
  for (int c = 0; c < count; c++) {
    S* out = output + p.out_offset(n, c0 + c, point);
    if (p.channels_last)
      for (int i = 0; i < b.n; i++) out[i * p.channels] = sum[c][i];
    else
      std::memcpy(out, sum[c], b.n * sizeof(S));
  }
}

template <int TAPS, class S>
void forward_planar(const Problem& p, const S* image, S* output, int64_t n, int64_t first, int64_t last) {
  const S* u = image + n * p.image_stride;
  const int taps = TAPS > 0 ? TAPS : p.axis[0].taps;
  const bool by_rows = TAPS > 0 && rows_serve<TAPS>(p);
  for_blocks<false, S>(p, n, first, last, nullptr, [&](const Block<S>& b, int64_t, int64_t, int64_t point) {
    S share[3][LANES];
    const bool filled = fills(p, b);
    if (filled) share_inside(p, b, share);
    for (int64_t c0 = 0; c0 < p.channels; c0 += CHANNELS) {
      const int count = int(p.channels - c0 < CHANNELS ? p.channels - c0 : CHANNELS);
      S sum[CHANNELS][LANES];
      if constexpr (TAPS > 0)
        if (by_rows && b.inside) {
          forward_rows<TAPS>(p, b, u + c0 * p.channel_stride, count, sum);
          store(p, b, sum, output, n, c0, count, point);
          continue;
        }
      for (int c = 0; c < count; c++)
        for (int i = 0; i < b.lanes; i++) sum[c][i] = 0;
      for_outer_taps(p, b, [&](int, int, const Index* at, const S* weight, const typename Taps<S>::Mask* inside) {
        const Taps<S>& x = b.axis[0];
        for (int c = 0; c < count; c++) {
          const S* plane = u + (c0 + c) * p.channel_stride;
          if (!b.masked) {
            for (int i = 0; i < b.lanes; i++) {
              S along = 0;
              for (int t = 0; t < taps; t++) along += x.weight[t][i] * plane[at[i] + x.at[t][i]];
              sum[c][i] += weight[i] * along;
            }
          } else {
            for (int i = 0; i < b.lanes; i++) {
              S along = 0;
              for (int t = 0; t < taps; t++) {
                const S value = plane[at[i] + x.at[t][i]];
                along += x.weight[t][i] * (inside[i] & x.inside[t][i] ? value : S(0));  // selected: 0 · NaN is NaN
              }
              sum[c][i] += weight[i] * along;
            }
          }
        }
      });
      for (int c = 0; c < count; c++) {
        const S fill = p.fill ? S(p.fill[c0 + c]) : S(0);
        if (filled)
          for (int i = 0; i < b.n; i++) {
            S all = share[0][i];
            for (int a = 1; a < p.dims; a++) all *= share[a][i];
            sum[c][i] += fill * (1 - all);
          }
        if (b.any_dead)
          for (int i = 0; i < b.n; i++)
            if (b.dead[i]) sum[c][i] = fill;
      }
      store(p, b, sum, output, n, c0, count, point);
    }
  });
}

template <bool WHERE, bool IMAGE, class S>
inline void backward_block(
    const Problem& p, const Block<S>& b, const S* u, S* du, const Gradients<S>& g, int64_t n, int64_t row, int64_t x0,
    int64_t point) {
  Slopes<S> slopes;
  if (WHERE) clear(p, b, slopes);
  S grad[CHANNELS][LANES];
  for (int64_t c0 = 0; c0 < p.channels; c0 += CHANNELS) {
    const int count = int(p.channels - c0 < CHANNELS ? p.channels - c0 : CHANNELS);
    load_gradient(p, b, g, n, c0, count, point, grad);
    if (WHERE && p.fill)
      for (int c = 0; c < count; c++)
        for (int i = 0; i < b.n; i++) slopes.fill[i] += grad[c][i] * S(p.fill[c0 + c]);
    if (WHERE)
      for_outer_taps(p, b, [&](int y, int z, const Index* at, const S*, const typename Taps<S>::Mask* inside) {
        const Taps<S>& x = b.axis[0];
        S dot[MAX_TAPS][LANES];
        for (int t = 0; t < p.axis[0].taps; t++) {
          for (int i = 0; i < b.lanes; i++) dot[t][i] = 0;
          for (int c = 0; c < count; c++) {
            const S* plane = u + (c0 + c) * p.channel_stride;
            if (!b.masked)
              for (int i = 0; i < b.lanes; i++) dot[t][i] += grad[c][i] * plane[at[i] + x.at[t][i]];
            else
              for (int i = 0; i < b.lanes; i++) {
                const S value = plane[at[i] + x.at[t][i]];
                dot[t][i] += inside[i] & x.inside[t][i] ? grad[c][i] * value : S(0);
              }
          }
        }
        spread(p, b, y, z, dot, slopes);
      });
    if (IMAGE)  // point by point, as `backward_rows` does: a pixel adds up its parts in one order
      for (int i = 0; i < b.n; i++)
        for_taps(p, b, i, [&](int, int, int, Index at, S outer, S along) {
          for (int c = 0; c < count; c++) du[(c0 + c) * p.channel_stride + at] += (grad[c][i] * outer) * along;
        });
  }
  if (WHERE) collect(p, b, slopes, g, n, row, x0, point);
}

template <int TAPS, bool WHERE, bool IMAGE, class S>
void backward_planar(
    const Problem& p, const S* image, const Gradients<S>& g, int64_t n, int64_t first, int64_t last, const Band* band) {
  const S* u = WHERE ? image + n * p.image_stride : nullptr;
  S* du = IMAGE ? g.image + n * p.image_stride : nullptr;
  const bool by_rows = TAPS > 0 && rows_serve<TAPS>(p) && !(WHERE && g.table);
  for_blocks<WHERE, S>(p, n, first, last, band, [&](const Block<S>& b, int64_t row, int64_t x0, int64_t point) {
    if constexpr (TAPS > 0)
      if (by_rows && b.inside) return backward_rows<TAPS, WHERE, IMAGE>(p, b, u, du, g, n, row, x0, point);
    backward_block<WHERE, IMAGE>(p, b, u, du, g, n, row, x0, point);
  });
}

// ---------------------------------------------------------------------------------- channels last: a lane a channel

template <int WIDTH, class S>
inline void blend(const S* u, const Index* at, const S* weight, int count, S* out) {
  S sum[WIDTH] = {};
  for (int k = 0; k < count; k++) {
    const S* pixel = u + at[k];
    const S w = weight[k];
    for (int c = 0; c < WIDTH; c++) sum[c] += w * pixel[c];
  }
  for (int c = 0; c < WIDTH; c++) out[c] = sum[c];
}

template <class S>
void forward_last(const Problem& p, const S* image, S* output, int64_t n, int64_t first, int64_t last) {
  const S* u = image + n * p.image_stride;
  std::vector<Index> at(MAX_TAPS * MAX_TAPS * MAX_TAPS);
  std::vector<S> weight(at.size());
  for_blocks<false, S>(p, n, first, last, nullptr, [&](const Block<S>& b, int64_t, int64_t, int64_t point) {
    S share[3][LANES];
    const bool filled = fills(p, b);
    if (filled) share_inside(p, b, share);
    for (int i = 0; i < b.n; i++) {
      int count = 0;
      for_taps(p, b, i, [&](int, int, int, Index offset, S outer, S along) {
        at[count] = offset;
        weight[count++] = outer * along;
      });
      S* out = output + p.out_offset(n, 0, point + i);
      int64_t c = 0;
      for (; c + 64 <= p.channels; c += 64) blend<64>(u + c, at.data(), weight.data(), count, out + c);
      for (; c + 16 <= p.channels; c += 16) blend<16>(u + c, at.data(), weight.data(), count, out + c);
      for (; c + 4 <= p.channels; c += 4) blend<4>(u + c, at.data(), weight.data(), count, out + c);
      for (; c < p.channels; c++) blend<1>(u + c, at.data(), weight.data(), count, out + c);
      const bool dead = b.any_dead && b.dead[i];
      if (dead || filled) {
        S all = dead ? S(0) : share[0][i];
        for (int a = 1; a < p.dims && !dead; a++) all *= share[a][i];
        if (p.fill)
          for (int64_t k = 0; k < p.channels; k++) out[k] += S(p.fill[k]) * (1 - all);
      }
    }
  });
}

template <bool WHERE, bool IMAGE, class S>
void backward_last(
    const Problem& p, const S* image, const Gradients<S>& g, int64_t n, int64_t first, int64_t last, const Band* band) {
  const S* u = WHERE ? image + n * p.image_stride : nullptr;
  S* du = IMAGE ? g.image + n * p.image_stride : nullptr;
  constexpr int WIDTH = 16;
  for_blocks<WHERE, S>(p, n, first, last, band, [&](const Block<S>& b, int64_t row, int64_t x0, int64_t point) {
    Slopes<S> slopes;
    if (WHERE) clear(p, b, slopes);
    for (int i = 0; i < b.n; i++) {
      const S* grad = g.output + p.out_offset(n, 0, point + i);
      if (WHERE && p.fill)
        for (int64_t c = 0; c < p.channels; c++) slopes.fill[i] += grad[c] * S(p.fill[c]);
      for_taps(p, b, i, [&](int x, int y, int z, Index at, S outer, S along) {
        const S w = outer * along;
        S dots[WIDTH] = {}, dot = 0;
        int64_t c = 0;
        for (; c + WIDTH <= p.channels; c += WIDTH)
          for (int k = 0; k < WIDTH; k++) {
            if (WHERE) dots[k] += grad[c + k] * u[at + c + k];
            if (IMAGE) du[at + c + k] += w * grad[c + k];
          }
        for (; c < p.channels; c++) {
          if (WHERE) dot += grad[c] * u[at + c];
          if (IMAGE) du[at + c] += w * grad[c];
        }
        if (WHERE) {
          for (int k = 0; k < WIDTH; k++) dot += dots[k];
          const S wy = p.dims > 1 ? b.axis[1].weight[y][i] : S(1),
                  wz = p.dims > 2 ? b.axis[2].weight[z][i] : S(1);
          slopes.tap[0][x][i] += outer * dot;
          if (p.dims > 1) slopes.tap[1][y][i] += along * wz * dot;
          if (p.dims > 2) slopes.tap[2][z][i] += along * wy * dot;
        }
      });
    }
    if (WHERE) collect(p, b, slopes, g, n, row, x0, point);
  });
}

// ------------------------------------------------------------------------------------------------- which loop serves

constexpr int64_t MANY_CHANNELS = 8;

template <class S>
constexpr bool FAST = sizeof(S) == 4 && sizeof(Index) == 4;  // loops of a fixed number of taps; the others are as right

template <class S>
void forward(const Problem& p, const S* image, S* output, int64_t n, int64_t first, int64_t last) {
  if (p.channels_last && p.channels >= MANY_CHANNELS) return forward_last(p, image, output, n, first, last);
  if constexpr (FAST<S>) switch (p.axis[0].taps) {
      case 1: return forward_planar<1>(p, image, output, n, first, last);
      case 2: return forward_planar<2>(p, image, output, n, first, last);
      case 3: return forward_planar<3>(p, image, output, n, first, last);
      case 4: return forward_planar<4>(p, image, output, n, first, last);
      case 6: return forward_planar<6>(p, image, output, n, first, last);
    }
  forward_planar<0>(p, image, output, n, first, last);
}

template <bool WHERE, bool IMAGE, class S>
void backward_any(
    const Problem& p, const S* image, const Gradients<S>& g, int64_t n, int64_t first, int64_t last, const Band* band) {
  if (p.channels_last && p.channels >= MANY_CHANNELS)
    return backward_last<WHERE, IMAGE>(p, image, g, n, first, last, band);
  if constexpr (FAST<S>) switch (p.axis[0].taps) {
      case 2: return backward_planar<2, WHERE, IMAGE>(p, image, g, n, first, last, band);
      case 4: return backward_planar<4, WHERE, IMAGE>(p, image, g, n, first, last, band);
      case 6: return backward_planar<6, WHERE, IMAGE>(p, image, g, n, first, last, band);
    }
  backward_planar<0, WHERE, IMAGE>(p, image, g, n, first, last, band);
}

template <class S>
void backward(const Problem& p, const S* image, const Gradients<S>& g, int64_t n, int64_t first, int64_t last) {
  g.image ? backward_any<true, true>(p, image, g, n, first, last, nullptr)
          : backward_any<true, false>(p, image, g, n, first, last, nullptr);
}

template <class S>
void backward_band(const Problem& p, const Gradients<S>& g, int64_t n, int64_t low, int64_t high) {
  const Band band{low, high};
  backward_any<false, true>(p, static_cast<const S*>(nullptr), g, n, 0, p.rows, &band);
}

template <class S>
constexpr Loops<S> loops{forward<S>, backward<S>, backward_band<S>};
