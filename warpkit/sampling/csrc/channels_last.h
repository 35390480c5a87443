
// Included once for each instruction set: loops.inl undoes the guard.
#ifndef WARPKIT_CHANNELS_LAST
#define WARPKIT_CHANNELS_LAST

#include "block.h"
#include "gradients.h"
#include "planar.h"

// The taps of one point that are read: where they are, their weights, and these with the slope on one axis.
template <class S>
struct Met {
  static constexpr int MOST = MAX_TAPS * MAX_TAPS * MAX_TAPS;
  int count = 0;
  std::vector<int64_t> at, target;
  std::vector<S> weight, slope[3];
  std::vector<int> tap[3];

  Met() : at(MOST), target(MOST), weight(MOST) {
    for (auto& s : slope) s.resize(MOST);
    for (auto& t : tap) t.resize(MOST);
  }

  template <bool SLOPES, bool TABLE>
  void find(const Problem& p, const Block<S>& b, int i, const int64_t* stride, const Target<S>* to) {
    count = 0;
    if (b.state[i] == NOTHING) return;
    const Counts<0, 0, false> n{p};
    const bool inside = b.state[i] == INSIDE;
    if (inside && !SLOPES && !to && p.dims == 2) {  // the same, without what is not needed there
      int64_t* a = at.data();
      S* w = weight.data();
      int64_t from = b.corner[i];
      for (int y = 0; y < n.y(); y++, from += stride[1])
        for (int x = 0; x < n.x(); x++) {
          *a++ = from + x * stride[0];
          *w++ = b.axis[1].weight[y][i] * b.axis[0].weight[x][i];
        }
      count = n.y() * n.x();
      return;
    }
    const Edge edge = inside ? Edge() : Edge(p, b, i);
    const auto pixel = [&](int a, int t) {
      return a >= p.dims ? 0 : inside ? int64_t(b.axis[a].first[i]) + t : int64_t(edge.at[a][t]);
    };
    const S one = 1, none = 0;
    for (int z = 0; z < n.z(); z++) {
      const int64_t pz = pixel(2, z);
      const S wz = p.dims > 2 ? b.axis[2].weight[z][i] : one, sz = SLOPES && p.dims > 2 ? b.axis[2].slope[z][i] : none;
      for (int y = 0; y < n.y(); y++) {
        const int64_t py = pixel(1, y);
        const S wy = p.dims > 1 ? b.axis[1].weight[y][i] : one,
                sy = SLOPES && p.dims > 1 ? b.axis[1].slope[y][i] : none;
        for (int x = 0; x < n.x(); x++) {
          const int64_t px = pixel(0, x);
          if ((px | py | pz) < 0) continue;
          const S wx = b.axis[0].weight[x][i];
          at[count] = px * stride[0] + py * stride[1] + pz * stride[2];
          weight[count] = wz * wy * wx;
          if (to) target[count] = px * to->stride[0] + py * to->stride[1] + pz * to->stride[2] - to->origin;
          if (SLOPES) {
            slope[0][count] = wz * wy * b.axis[0].slope[x][i];
            slope[1][count] = wz * sy * wx;
            slope[2][count] = sz * wy * wx;
          }
          if (TABLE) {
            tap[0][count] = x;
            tap[1][count] = y;
            tap[2][count] = z;
          }
          count++;
        }
      }
    }
  }
};

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
inline void ask_ahead(const Problem& p, const Block<S>& b, int i, const S* u) {
  constexpr int LATER = 4;
  if (i + LATER >= b.n || b.state[i + LATER] != INSIDE) return;
  const S* pixel = u + b.corner[i + LATER];
  const int64_t down = p.dims > 1 ? (p.axis[1].taps - 1) * p.axis[1].stride : 0;
  for (int64_t c = 0; c < p.channels; c += Wide<S>::SIZE) {
    __builtin_prefetch(pixel + c);
    __builtin_prefetch(pixel + c + down);
  }
}

// Eq. 3.
template <class S>
void forward_last(const Problem& p, const Part& part, const S* image, S* output) {
  constexpr int SIZE = Wide<S>::SIZE;
  const S* u = image + part.image * p.image_stride;
  int64_t stride[3];
  strides(p, stride);
  Met<S> met;
  for_blocks<false, S>(p, part, [&](const Block<S>& b, const Block<S>&, int64_t, int64_t, int64_t point) {
    const bool filled = fills(p, b);
    for (int i = 0; i < b.n; i++) {
      ask_ahead(p, b, i, u);
      met.template find<false, false>(p, b, i, stride, nullptr);
      S* out = output + p.out_offset(part.image, 0, point + i);
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
void backward_last(const Problem& p, const Part& part, const S* image, const Gradients<S>& g) {
  using W = Wide<S>;
  const S* u = image + part.image * p.image_stride;
  const bool wants_where = g.coords || g.matrix || TABLE, wants_image = g.image.pixels;
  int64_t stride[3];
  strides(p, stride);
  Met<S> met, other;
  Slopes<S> slopes;
  for_blocks<true, S>(p, part, [&](const Block<S>& b, const Block<S>& own, int64_t row, int64_t x0, int64_t point) {
    if (wants_where) clear<TABLE>(p, b, slopes);
    for (int i = 0; i < b.n; i++) {
      ask_ahead(p, b, i, u);
      const bool apart = wants_image && &own != &b;  // the weights of eq. 6 are not those of eq. 7
      met.template find<true, TABLE>(p, b, i, stride, wants_image && !apart ? &g.image : nullptr);
      const S* grad = g.output + p.out_offset(part.image, 0, point + i);
      if (p.fill)
        for (int64_t c = 0; c < p.channels; c++) slopes.fill[i] += grad[c] * S(p.fill[c]);
      typename W::Vector sum[3] = {};
      int64_t c = 0;
      S* to = apart ? nullptr : g.image.pixels;
      if (apart) {
        other.template find<false, false>(p, own, i, stride, &g.image);
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
      if (TABLE)
        for (int k = 0; k < met.count; k++) {
          S dot = 0;
          for (int64_t e = 0; e < p.channels; e++) dot += grad[e] * u[met.at[k] + e];
          const int x = met.tap[0][k], y = met.tap[1][k], z = met.tap[2][k];
          const S wy = p.dims > 1 ? b.axis[1].weight[y][i] : S(1), wz = p.dims > 2 ? b.axis[2].weight[z][i] : S(1);
          slopes.tap[0][x][i] += wy * wz * dot;
          slopes.meet_outer(p, b, i, y, z, b.axis[0].weight[x][i] * dot);
        }
    }
    if (wants_where) give<TABLE>(p, b, slopes, g, part, row, x0, point);
  });
}

#endif
