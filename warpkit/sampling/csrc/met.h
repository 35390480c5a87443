// The taps of one point, one by one: where no vector of them is worked on together.
// Included once for each instruction set: loops.inl undoes the guard.
#ifndef WARPKIT_MET
#define WARPKIT_MET

#include "gradients.h"

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
  void find(const Problem& p, const Block<S>& b, int i, const Source<S>& from, const Target<S>* to) {
    const int64_t* stride = from.stride;
    count = 0;
    if (b.of(i) == NOTHING) return;
    const int nx = p.taps(0), ny = p.taps(1), nz = p.taps(2);
    const bool inside = b.of(i) == INSIDE;
    if (inside && !SLOPES && !TABLE && !to && p.dims == 2) {  // the same, without what is not needed there
      int64_t* a = at.data();
      S* w = weight.data();
      int64_t row = b.corner[i];
      for (int y = 0; y < ny; y++, row += stride[1])
        for (int x = 0; x < nx; x++) {
          *a++ = row + x * stride[0];
          *w++ = b.axis[1].weight[y][i] * b.axis[0].weight[x][i];
        }
      count = ny * nx;
      return;
    }
    const Edge edge = inside ? Edge() : Edge(p, b, i);
    const auto pixel = [&](int a, int t) {
      return a >= p.dims ? 0 : inside ? int64_t(b.axis[a].first[i]) + t : int64_t(edge.at[a][t]);
    };
    const S one = 1, none = 0;
    for (int z = 0; z < nz; z++) {
      const int64_t pz = pixel(2, z);
      const S wz = p.dims > 2 ? b.axis[2].weight[z][i] : one, sz = SLOPES && p.dims > 2 ? b.axis[2].slope[z][i] : none;
      for (int y = 0; y < ny; y++) {
        const int64_t py = pixel(1, y);
        const S wy = p.dims > 1 ? b.axis[1].weight[y][i] : one,
                sy = SLOPES && p.dims > 1 ? b.axis[1].slope[y][i] : none;
        for (int x = 0; x < nx; x++) {
          const int64_t px = pixel(0, x);
          if ((px | py | pz) < 0) continue;
          const S wx = b.axis[0].weight[x][i];
          at[count] = px * stride[0] + py * stride[1] + pz * stride[2] - from.origin;
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

// What one point adds to the gradient of its taps' weights; `grad`: of channel 0, `step` to the next one.
template <class S>
inline void meet_table(
    const Problem& p, const Block<S>& b, int i, const Met<S>& met, const Source<S>& image, const S* grad, int64_t step,
    Slopes<S>& slopes) {
  for (int k = 0; k < met.count; k++) {
    S dot = 0;
    for (int64_t c = 0; c < p.channels; c++) dot += grad[c * step] * image.pixels[c * image.channel_stride + met.at[k]];
    const int x = met.tap[0][k], y = met.tap[1][k], z = met.tap[2][k];
    const S one = 1, wx = b.axis[0].weight[x][i], wy = p.dims > 1 ? b.axis[1].weight[y][i] : one,
            wz = p.dims > 2 ? b.axis[2].weight[z][i] : one;
    slopes.tap[0][x][i] += wy * wz * dot;
    if (p.dims > 1) slopes.tap[1][y][i] += wx * wz * dot;
    if (p.dims > 2) slopes.tap[2][z][i] += wx * wy * dot;
  }
}

#endif
