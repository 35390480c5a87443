// The backward pass of few images: their tiles side by side.
//
// Tiles overlap in the image whose gradient they add to. So each adds to a box of its own, which holds what the tile
// reaches; when a few dozen are done, the boxes are added to the image in their order, each thread to rows of its own.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <vector>

#include "tiles.h"

namespace warpkit {

constexpr int64_t MANY_IMAGES = 8;       // are worked on image by image, with no boxes
constexpr int64_t WAVE_TILES = 64;       // at a time; not the number of threads, on which the result would depend
constexpr int64_t WAVE_SHARE = 32;       // of the image is as much as the boxes may take …
constexpr int64_t WAVE_LEAST = 1 << 20;  // … or these bytes
constexpr int64_t WIDE_REACH = 16;       // pixels for a point of a tile: it is worked on without a box

// What a tile reaches, and where its pixels start in the scratch.
struct Piece : Box {
  int64_t image, tile, offset;
};

// Adds a box to the image's pixels low … high along its slowest axis.
template <class S>
void add(const Problem& p, const Piece& box, const S* scratch, int64_t low, int64_t high, S* image) {
  int64_t first[3] = {}, last[3] = {box.size[0], box.size[1], box.size[2]}, stride[3] = {};
  for (int a = 0; a < p.dims; a++) stride[a] = p.axis[a].stride;
  const int slow = p.dims - 1;
  first[slow] = std::max<int64_t>(0, low - box.low[slow]);
  last[slow] = std::min(box.size[slow], high - box.low[slow]);
  const int64_t planes = p.channels_last ? 1 : p.channels, run = p.channels_last ? p.channels : 1;
  for (int64_t c = 0; c < planes; c++)
    for (int64_t z = first[2]; z < last[2]; z++)
      for (int64_t y = first[1]; y < last[1]; y++) {
        const int64_t line = ((c * box.size[2] + z) * box.size[1] + y) * box.size[0] + first[0];
        const S* from = scratch + box.offset + line * run;
        S* to = image + c * p.channel_stride + (box.low[0] + first[0]) * stride[0] + (box.low[1] + y) * stride[1] +
                (box.low[2] + z) * stride[2];
        for (int64_t k = 0; k < (last[0] - first[0]) * run; k++) to[k] += from[k];
      }
}

// Tile by tile, without the image's gradient.
template <class S>
void backward_each(const Problem& p, const Tiling& tiles, const S* image, const Sums<S>& sums) {
  in_parallel(0, p.images * tiles.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; k++)
      backward_tile(p, tiles.part(p, k / tiles.count(), k % tiles.count()), image, sums.of(p, k));
  });
}

template <class S>
void backward_in_waves(const Problem& p, const Tiling& tiles, const S* image, const Sums<S>& sums) {
  const int64_t all = p.images * tiles.count();
  const int64_t pixels = pixels_of(p),
                most = std::max(WAVE_LEAST / int64_t(sizeof(S)), pixels * p.channels / WAVE_SHARE);
  const int slow = p.dims - 1;
  std::vector<S> scratch;
  std::vector<Piece> boxes;
  for (int64_t next = 0; next < all;) {
    boxes.clear();
    int64_t used = 0;
    while (next < all && int64_t(boxes.size()) < WAVE_TILES) {
      const Part part = tiles.part(p, next / tiles.count(), next % tiles.count());
      Piece box{box_of<S>(p, part), part.image, next, 0};
      const int64_t size = box.pixels() * p.channels;
      const int64_t points = (part.bottom - part.top) * (part.right - part.left);
      if (box.pixels() > WIDE_REACH * points || (boxes.empty() && size > most)) {
        if (!boxes.empty()) break;  // in their order
        Gradients<S> g = sums.of(p, next);
        g.image = whole_image(p, sums.image + part.image * p.image_stride);
        backward_tile(p, part, image, g);
        next++;
        continue;
      }
      if (used + size > most) break;
      box.offset = used;
      used += size;
      boxes.push_back(box);
      next++;
    }
    if (scratch.size() < size_t(used)) scratch.resize(used);
    in_parallel(0, int64_t(boxes.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) {
        const Piece& box = boxes[k];
        Gradients<S> g = sums.of(p, box.tile);
        g.image = packed(p, box, p.channels_last, scratch.data() + box.offset);
        std::fill_n(g.image.pixels, box.pixels() * p.channels, S(0));
        backward_tile(p, tiles.part(p, box.image, box.tile % tiles.count()), image, g);
      }
    });
    int64_t low = p.axis[slow].size, high = 0;
    for (const Piece& box : boxes) {
      low = std::min(low, box.low[slow]);
      high = std::max(high, box.low[slow] + box.size[slow]);
    }
    in_parallel(low, high, 16, [&](int64_t begin, int64_t end) {
      for (const Piece& box : boxes) add(p, box, scratch.data(), begin, end, sums.image + box.image * p.image_stride);
    });
  }
}

}  // namespace warpkit
