// A problem → tiles, and what each tile's sums are added to.
//
// An output image is cut into tiles whose size no thread has a say in. Sums over the output are kept for each tile and
// added up in order, and so are the tiles' parts of an image's gradient: the result is the same for any number of
// threads.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "loops.h"

namespace warpkit {

constexpr int64_t GRAIN = 8192;                               // output values that are worth a thread
constexpr int64_t FORWARD_WIDTH = 512, FORWARD_ROWS = 64;     // of a tile, if the output is that large: long rows, …
constexpr int64_t BACKWARD_WIDTH = 128, BACKWARD_ROWS = 128;  // … and squares, which share few pixels

template <class S>
const Loops<S>& loops_for(const Problem& p) {
  const Widths<S>& widths = [&]() -> const Widths<S>& {
    if constexpr (sizeof(S) == 4)
      return level().single;
    else
      return level().twice;
  }();
  const Axis& slow = p.axis[p.dims - 1];
  bool narrow = slow.size * slow.stride < (int64_t(1) << 31);
  for (int a = 0; a < p.dims; a++) narrow = narrow && p.axis[a].size < LONG_AXIS;
  return narrow ? widths.narrow : widths.wide;
}

// From [rows, columns] to [columns, rows], in squares that stay in the cache.
template <class S>
void transpose(const S* from, S* to, int64_t rows, int64_t columns) {
  constexpr int64_t SIDE = 16;
  for (int64_t i = 0; i < rows; i += SIDE)
    for (int64_t j = 0; j < columns; j += SIDE) {
      const int64_t ie = std::min(rows, i + SIDE), je = std::min(columns, j + SIDE);
      if (ie - i == SIDE && je - j == SIDE) {
        S square[SIDE][SIDE];
        for (int64_t a = 0; a < SIDE; a++)
          for (int64_t b = 0; b < SIDE; b++) square[b][a] = from[(i + a) * columns + j + b];
        for (int64_t b = 0; b < SIDE; b++) std::memcpy(to + (j + b) * rows + i, square[b], SIDE * sizeof(S));
      } else {
        for (int64_t a = i; a < ie; a++)
          for (int64_t b = j; b < je; b++) to[b * rows + a] = from[a * columns + b];
      }
    }
}

struct Tiling {
  int64_t rows, columns, down, across;  // of a tile; and how many of them

  // Wider where the output has fewer rows.
  Tiling(const Problem& p, int64_t rows_, int64_t columns_)
      : rows(std::max<int64_t>(1, std::min(p.rows, rows_))),
        columns(rows_ / rows * columns_),
        down((p.rows + rows - 1) / rows),
        across((p.length + columns - 1) / columns) {}

  int64_t count() const { return down * across; }
  Part part(const Problem& p, int64_t image, int64_t k) const {
    const int64_t top = k / across * rows, left = k % across * columns;
    return {image, top, std::min(p.rows, top + rows), left, std::min(p.length, left + columns)};
  }
};

// Many channels in planes are worked on channels last, an image at a time in a scratch of this thread's own.
constexpr int64_t TURN_CHANNELS = 8;
constexpr int64_t TURN_IMAGES = 4;  // not the number of threads, on which the result would depend
constexpr int64_t TURN_BYTES = 16 << 20;

bool turns(const Problem& p, size_t item) {
  const int64_t pixels = p.axis[p.dims - 1].size * p.axis[p.dims - 1].stride;
  return !p.channels_last && p.channels >= TURN_CHANNELS && p.images >= TURN_IMAGES &&
         int64_t(item) * p.channels * (pixels + p.points) <= TURN_BYTES;
}

Problem turned(const Problem& p) {
  Problem t = p;
  t.channels_last = true;
  t.channel_stride = 1;
  for (int d = 0; d < p.dims; d++) t.axis[d].stride *= p.channels;
  t.images = 1;
  t.image_stride = 0;
  return t;
}

// The same problem, for image n alone.
Problem only(const Problem& t, int64_t n) {
  Problem one = t;
  if (!t.where_shared) {
    if (t.where < AFFINE)
      one.coords = static_cast<const char*>(t.coords) + n * t.points * t.dims * (t.wide_points ? 8 : 4);
    else
      one.matrix = t.matrix + n * (t.dims + 1) * (t.dims + 1);
  }
  one.where_shared = true;
  return one;
}

int64_t pixels_of(const Problem& p) {
  int64_t pixels = 1;
  for (int a = 0; a < p.dims; a++) pixels *= p.axis[a].size;
  return pixels;
}

// Where the gradients of all tiles go.
template <class S>
struct Sums {
  const S* output;
  S* image;
  double *coords, *matrix, *table;  // matrix: [N, tiles, dims + 1, 4]; table: [N, tiles, coefficients]
  int64_t coefficients;

  bool where() const { return coords || matrix || table; }
  Gradients<S> of(const Problem& p, int64_t tile) const {
    Gradients<S> g{};
    g.output = output;
    g.coords = coords;
    if (matrix) g.matrix = matrix + tile * (p.dims + 1) * 4;
    if (table) g.table = table + tile * coefficients;
    return g;
  }
};

template <class S>
Target<S> whole_image(const Problem& p, S* pixels) {
  Target<S> target{pixels, {}, p.channel_stride, 0};
  for (int a = 0; a < p.dims; a++) target.stride[a] = p.axis[a].stride;
  return target;
}

template <class S>
void backward_by_image(const Problem& p, const Tiling& tiles, const S* image, const Sums<S>& sums) {
  torch::stable::parallel_for(0, p.images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; n++)
      for (int64_t k = 0; k < tiles.count(); k++) {
        Gradients<S> g = sums.of(p, n * tiles.count() + k);
        if (sums.image) g.image = whole_image(p, sums.image + n * p.image_stride);
        loops_for<S>(p).backward(p, tiles.part(p, n, k), image, g);
      }
  });
}

}  // namespace warpkit
