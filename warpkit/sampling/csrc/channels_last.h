
// Included once for each instruction set: loops.inl undoes the guard.
#ifndef WARPKIT_CHANNELS_LAST
#define WARPKIT_CHANNELS_LAST

#include "block.h"
#include "gradients.h"
#include "met.h"

// WIDE vectors of channels of one point.
template <int WIDE, class S>
inline void blend(const S* u, const Met<S>& met, S* out) {
  using W = Wide<S>;
  const int count = met.count;
  const int64_t* at = met.at.data();
  const S* weight = met.weight.data();
  typename W::Vector sum[WIDE] = {};
  for (int k = 0; k < count; k++) {
    const S* pixel = u + at[k];
    const S w = weight[k];
    for (int v = 0; v < WIDE; v++) sum[v] += w * W::load(pixel + v * W::SIZE);
  }
  for (int v = 0; v < WIDE; v++) W::store(out + v * W::SIZE, sum[v]);
}

// COUNT single channels of one point.
template <int COUNT, class S>
inline void blend_some(const S* u, const Met<S>& met, S* out) {
  S sum[COUNT] = {};
  for (int k = 0; k < met.count; k++)
    for (int c = 0; c < COUNT; c++) sum[c] += met.weight[k] * u[met.at[k] + c];
  for (int c = 0; c < COUNT; c++) out[c] = sum[c];
}

// Asks for the pixels of the point that comes a little later: all channels of its first and last row of taps.
template <class S>
inline void ask_ahead(const Problem& p, const Block<S>& b, int i, const Source<S>& image) {
  constexpr int LATER = 4;
  if (i + LATER >= b.n || b.of(i + LATER) != INSIDE) return;
  const S* pixel = image.pixels + b.corner[i + LATER];
  const int64_t down = p.dims > 1 ? (p.axis[1].taps - 1) * image.stride[1] : 0;
  for (int64_t c = 0; c < p.channels; c += Wide<S>::SIZE) {
    __builtin_prefetch(pixel + c);
    __builtin_prefetch(pixel + c + down);
  }
}

// Eq. 3. What is summed is what is stored.
template <class S>
void forward_last(const Problem& p, const Part& part, const Source<S>& image, const Sink& sink) {
  constexpr int SIZE = Wide<S>::SIZE;
  const S* u = image.pixels;
  Met<S> met;
  for_blocks<false, S>(
      p, part, image, [](const Block<S>&) {},
      [&](const Block<S>& b, const Block<S>&, int64_t, int64_t, int64_t point) {
        const bool filled = fills(p, b);
        for (int i = 0; i < b.n; i++) {
          ask_ahead(p, b, i, image);
          met.template find<false, false>(p, b, i, image, nullptr);
          S* out = static_cast<S*>(sink.output) + part.image * sink.image_stride + (point + i) * sink.point_stride;
          int64_t c = 0;
          for (; c + 4 * SIZE <= p.channels; c += 4 * SIZE) blend<4>(u + c, met, out + c);
          for (; c + SIZE <= p.channels; c += SIZE) blend<1>(u + c, met, out + c);
          for (; c + 4 <= p.channels; c += 4) blend_some<4>(u + c, met, out + c);
          switch (p.channels - c) {
            case 3: blend_some<3>(u + c, met, out + c); break;
            case 2: blend_some<2>(u + c, met, out + c); break;
            case 1: blend_some<1>(u + c, met, out + c);
          }
          const bool dead = b.any_dead && b.dead[i];
          if (!p.fill || !(dead || filled)) continue;
          const S rest = dead ? S(p.total()) : Share<S>::template of<false>(p, b, i).rest(p);
          for (int64_t k = 0; k < p.channels; k++) out[k] += S(p.fill[k]) * rest;
        }
      });
}

// One vector of channels of one point: gives to the image, and returns gradient · pixels of each tap, summed with the
// taps' slopes.
template <int WIDE, class S>
inline void push(
    bool wants_where, const S* u, const S* grad, S* target, const Met<S>& met, int dims,
    typename Wide<S>::Vector* sum) {
  using W = Wide<S>;
  typename W::Vector g[WIDE];
  for (int v = 0; v < WIDE; v++) g[v] = W::load(grad + v * W::SIZE);
  for (int k = 0; k < met.count; k++) {
    if (wants_where) {
      const S* pixel = u + met.at[k];
      typename W::Vector dot = g[0] * W::load(pixel);
      for (int v = 1; v < WIDE; v++) dot += g[v] * W::load(pixel + v * W::SIZE);
      sum[0] += met.slope[0][k] * dot;
      if (dims > 1) sum[1] += met.slope[1][k] * dot;
      if (dims > 2) sum[2] += met.slope[2][k] * dot;
    }
    if (target) {
      S* to = target + met.target[k];
      const S weight = met.weight[k];
      for (int v = 0; v < WIDE; v++) W::store(to + v * W::SIZE, W::load(to + v * W::SIZE) + weight * g[v]);
    }
  }
}

// Eq. 7 where coordinates, matrix or table are wanted, eq. 6 where the image is.
template <bool TABLE, class S>
void backward_last(const Problem& p, const Part& part, const Source<S>& image, const Gradients<S>& g) {
  using W = Wide<S>;
  const S* u = image.pixels;
  const bool wants_where = g.coords || g.matrix || TABLE, wants_image = g.image.pixels;
  Met<S> met, other;
  Slopes<S> slopes;
  const auto next = [](const Block<S>&) {};
  for_blocks<true, S>(p, part, image, next, [&](const Block<S>& b, const Block<S>& own, int64_t row, int64_t x0, int64_t point) {
    if (wants_where) clear<TABLE>(p, b, slopes);
    for (int i = 0; i < b.n; i++) {
      ask_ahead(p, b, i, image);
      const bool apart = wants_image && &own != &b;  // the weights of eq. 6 are not those of eq. 7
      met.template find<true, TABLE>(p, b, i, image, wants_image && !apart ? &g.image : nullptr);
      const S* grad = g.output + p.out_offset(part.image, 0, point + i);
      if (p.fill)
        for (int64_t c = 0; c < p.channels; c++) slopes.fill[i] += grad[c] * S(p.fill[c]);
      typename W::Vector sum[3] = {};
      int64_t c = 0;
      S* to = apart ? nullptr : g.image.pixels;
      if (apart) {
        other.template find<false, false>(p, own, i, image, &g.image);
        for (int k = 0; k < other.count; k++)
          for (int64_t e = 0; e < p.channels; e++)
            g.image.pixels[other.target[k] + e] += other.weight[k] * grad[e];
      }
      for (; c + 4 * W::SIZE <= p.channels; c += 4 * W::SIZE)
        push<4>(wants_where, u + c, grad + c, to ? to + c : nullptr, met, p.dims, sum);
      for (; c + W::SIZE <= p.channels; c += W::SIZE)
        push<1>(wants_where, u + c, grad + c, to ? to + c : nullptr, met, p.dims, sum);
      if (wants_where)
        for (int a = 0; a < p.dims; a++) slopes.slope[a][i] = W::sum(sum[a]);
      for (int k = 0; k < met.count && c < p.channels; k++) {
        S dot = 0;
        for (int64_t e = c; e < p.channels; e++) {
          if (wants_where) dot += grad[e] * u[met.at[k] + e];
          if (to) to[met.target[k] + e] += met.weight[k] * grad[e];
        }
        if (wants_where)
          for (int a = 0; a < p.dims; a++) slopes.slope[a][i] += met.slope[a][k] * dot;
      }
      if (TABLE) meet_table(p, b, i, met, image, grad, 1, slopes);
    }
    if (wants_where) give<TABLE>(p, b, slopes, g, part, row, x0, point);
  });
}

#endif
