// A problem's tiles → threads: which of the ways forward and back is taken.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <vector>

#include "tiles.h"
#include "waves.h"

namespace warpkit {

template <class S>
void run_forward(const Problem& p, const S* image, S* output) {
  const Loops<S>& loops = loops_for<S>(p);
  if (turns(p, sizeof(S))) {
    const Problem t = turned(p);
    const int64_t pixels = pixels_of(p);
    torch::stable::parallel_for(0, p.images, 1, [&](int64_t begin, int64_t end) {
      std::vector<S> in(pixels * p.channels), out(p.points * p.channels);
      for (int64_t n = begin; n < end; n++) {
        if (n == begin || p.image_stride) transpose(image + n * p.image_stride, in.data(), p.channels, pixels);
        loops.forward(only(t, n), {0, 0, p.rows, 0, p.length}, in.data(), out.data());
        transpose(out.data(), output + n * p.channels * p.points, p.points, p.channels);
      }
    });
    return;
  }
  const int64_t share =
      p.images * p.rows / (4 * int64_t(torch::stable::get_num_threads()));  // four tiles for each thread
  const Tiling tiles(p, std::min(FORWARD_ROWS, std::max<int64_t>(4, share)), FORWARD_WIDTH);
  const int64_t grain = std::max<int64_t>(1, GRAIN / std::max<int64_t>(1, tiles.rows * tiles.columns * p.channels));
  torch::stable::parallel_for(0, p.images * tiles.count(), grain, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k++)
      loops.forward(p, tiles.part(p, k / tiles.count(), k % tiles.count()), image, output);
  });
}

template <class S>
void backward_turned(const Problem& p, const Tiling& tiles, const S* image, const Sums<S>& sums) {
  const Problem t = turned(p);
  const int64_t pixels = pixels_of(p);
  torch::stable::parallel_for(0, p.images, 1, [&](int64_t begin, int64_t end) {
    std::vector<S> in(pixels * p.channels), grad(p.points * p.channels), out(sums.image ? in.size() : 0);
    for (int64_t n = begin; n < end; n++) {
      if (sums.where()) transpose(image + n * p.image_stride, in.data(), p.channels, pixels);
      transpose(sums.output + n * p.channels * p.points, grad.data(), p.channels, p.points);
      std::fill(out.begin(), out.end(), S(0));
      for (int64_t k = 0; k < tiles.count(); k++) {
        Gradients<S> g = sums.of(p, n * tiles.count() + k);
        g.output = grad.data();
        if (g.coords) g.coords += n * p.points * p.dims;
        if (sums.image) g.image = whole_image(t, out.data());
        loops_for<S>(p).backward(only(t, n), tiles.part(p, 0, k), in.data(), g);
      }
      if (sums.image) transpose(out.data(), sums.image + n * p.image_stride, pixels, p.channels);
    }
  });
}

template <class S>
void run_backward(const Problem& p, const Tiling& tiles, const S* image, const Sums<S>& sums) {
  if (turns(p, sizeof(S)) && p.image_stride) return backward_turned(p, tiles, image, sums);
  const bool alone = p.images * tiles.count() == 1 || p.images >= MANY_IMAGES;
  if (alone && (p.image_stride || !sums.image || p.images == 1)) return backward_by_image(p, tiles, image, sums);
  if (!sums.image) return backward_each(p, tiles, image, sums);
  // Points all over the image: boxes as large as it would be worked on one after the other.
  const bool apart = p.images > 1 && p.image_stride && tiles.count() > 1;
  if (apart && 4 * box_of<S>(p, tiles.part(p, 0, 0), 0).pixels() > pixels_of(p))
    return backward_by_image(p, tiles, image, sums);
  backward_in_waves(p, tiles, image, sums);
}

}  // namespace warpkit
