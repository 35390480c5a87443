// Images in planes, a lane a point: the taps' pixels are gathered, or fetched row by row inside the image (rows.h).
// Included by loops.inl.

constexpr int CHANNELS = 4;  // that are worked on together

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
