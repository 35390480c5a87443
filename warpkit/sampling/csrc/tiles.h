// A problem → tiles, and what each tile's sums are added to.
//
// An output image is cut into tiles whose size no thread has a say in. Sums over the output are kept for each tile and
// added up in order, and so are the tiles' parts of an image's gradient: the result is the same for any number of
// threads.
#pragma once

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "boundary.h"
#include "loops.h"

namespace warpkit {

constexpr int64_t GRAIN = 8192;                               // output values that are worth a thread
// Tiles are whole rows where they can be: memory is read about twice as fast along them as in pieces of 512 pixels.
constexpr int64_t WIDTH = 8192, ROWS = 64;
// Those that add to an image are more like squares, which share few pixels.
constexpr int64_t PUSH_WIDTH = 512, PUSH_ROWS = 64;

// Whether this process is a copy that fork() made: it has none of the threads that torch waits for, and would for ever.
bool is_forked = false;
#if defined(__unix__) || defined(__APPLE__)
const int watched = pthread_atfork(nullptr, nullptr, [] { is_forked = true; });
#endif

// Work(begin, end) for parts of a range, on torch's threads.
template <class Work>
void in_parallel(int64_t begin, int64_t end, int64_t grain, const Work& work) {
  if (!is_forked) return torch::stable::parallel_for(begin, end, grain, work);
  if (begin < end) work(begin, end);
}

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
  for (int a = 0; a < p.dims; a++)
    narrow = narrow && std::max({p.axis[a].size, p.axis[a].extent, std::abs(p.axis[a].begin)}) < LONG_AXIS;
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

// One image, as it lies.
template <class S>
Source<S> source_of(const Problem& p, const S* pixels) {
  Source<S> source{{pixels, {}, p.channel_stride, 0}, nullptr, FLOAT};
  for (int a = 0; a < p.dims; a++) source.stride[a] = p.axis[a].stride;
  return source;
}

// The output, laid out like the image.
Sink sink_of(const Problem& p, void* output, Stored stored) {
  const bool last = p.channels_last;
  return {output, stored, p.channels * p.points, last ? 1 : p.points, last ? p.channels : 1};
}

// Where the gradients of all tiles go.
template <class S>
struct Sums {
  const S* output;
  S* image;
  void* coords;
  double *matrix, *table;  // matrix: [N, tiles, dims + 1, 4]; table: [N, tiles, coefficients]
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
void backward_tile(const Problem& p, const Part& part, const S* image, const Gradients<S>& g) {
  loops_for<S>(p).backward(p, part, source_of(p, image ? image + part.image * p.image_stride : image), g);
}

template <class S>
void backward_by_image(const Problem& p, const Tiling& tiles, const S* image, const Sums<S>& sums) {
  in_parallel(0, p.images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; n++)
      for (int64_t k = 0; k < tiles.count(); k++) {
        Gradients<S> g = sums.of(p, n * tiles.count() + k);
        if (sums.image) g.image = whole_image(p, sums.image + n * p.image_stride);
        backward_tile(p, tiles.part(p, n, k), image, g);
      }
  });
}

// A box of pixels: what a tile reaches.
struct Box {
  int64_t low[3], size[3];
  int64_t pixels() const { return size[0] * size[1] * size[2]; }
};

template <class S>
Box box_of(const Problem& p, const Part& part) {
  Box box{{}, {1, 1, 1}};
  const Reach reach = loops_for<S>(p).reach(p, part);
  for (int a = 0; a < p.dims; a++) {
    int64_t low = reach.low[a], high = reach.high[a];
    const Axis& axis = p.axis[a];
    const bool before = low < 0, beyond = high >= axis.size;
    bring_inside(axis, low, high);
    if (before) high = std::max(high, std::min<int64_t>(axis.taps, axis.size) - 1);  // as `Brought` reads them
    if (beyond) low = std::min(low, std::max<int64_t>(0, axis.size - axis.taps));
    box.low[a] = low;
    box.size[a] = high - low + 1;
  }
  return box;
}

// The box's pixels where they lie one after the other, in planes or with the channels last.
template <class S>
Pixels<S> packed(const Problem& p, const Box& box, bool last, S* pixels) {
  Pixels<S> packed{pixels, {}, 1, 0};
  int64_t stride = last ? p.channels : 1;
  for (int a = 0; a < p.dims; a++) {
    packed.stride[a] = stride;
    packed.origin += box.low[a] * stride;
    stride *= box.size[a];
  }
  if (!last) packed.channel_stride = stride;
  return packed;
}

}  // namespace warpkit
