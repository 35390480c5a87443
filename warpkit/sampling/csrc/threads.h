// A problem → threads.
//
// Every pixel of a gradient adds up its parts in the order of the output, whoever computes it, and sums over the output
// are kept for groups of rows of a fixed size: the result is the same for any number of threads.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "loops.h"

namespace warpkit {

constexpr int64_t GRAIN = 8192;  // output values that are worth a thread

template <class S>
const Loops<S>& loops_for(const Problem& p) {
  const Widths<S>& widths = [&]() -> const Widths<S>& {
    if constexpr (sizeof(S) == 4) return level().single;
    else return level().twice;
  }();
  const Axis& slow = p.axis[p.dims - 1];
  return slow.size * slow.stride < (int64_t(1) << 31) ? widths.narrow : widths.wide;
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
  t.pixel_stride = p.channels;
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
    if (t.where == POINTS)
      one.coords = static_cast<const char*>(t.coords) + n * t.points * t.dims * (t.wide_points ? 8 : 4);
    else
      one.matrix = t.matrix + n * (t.dims + 1) * (t.dims + 1);
  }
  one.where_shared = true;
  return one;
}

template <class S>
void run_forward(const Problem& p, const S* image, S* output) {
  const Loops<S>& loops = loops_for<S>(p);
  if (turns(p, sizeof(S))) {
    const Problem t = turned(p);
    const int64_t pixels = p.axis[p.dims - 1].size * p.axis[p.dims - 1].stride;
    torch::stable::parallel_for(0, p.images, 1, [&](int64_t begin, int64_t end) {
      std::vector<S> in(pixels * p.channels), out(p.points * p.channels);
      for (int64_t n = begin; n < end; n++) {
        if (n == begin || p.image_stride) transpose(image + n * p.image_stride, in.data(), p.channels, pixels);
        loops.forward(only(t, n), in.data(), out.data(), 0, 0, p.rows);
        transpose(out.data(), output + n * p.channels * p.points, p.points, p.channels);
      }
    });
    return;
  }
  const int64_t grain = std::max<int64_t>(1, GRAIN / std::max<int64_t>(1, p.length * p.channels));
  torch::stable::parallel_for(0, p.images * p.rows, grain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t n = begin / p.rows, first = begin % p.rows, last = std::min(p.rows, first + end - begin);
      loops.forward(p, image, output, n, first, last);
      begin += last - first;
    }
  });
}

template <class S>
void run_backward(const Problem& p, const S* image, const Gradients<S>& g, bool wants_where) {
  const Loops<S>& loops = loops_for<S>(p);
  const int64_t threads = torch::stable::get_num_threads();
  const int64_t pixels = p.axis[p.dims - 1].size * p.axis[p.dims - 1].stride / p.pixel_stride;
  if (turns(p, sizeof(S)) && p.image_stride && wants_where) {
    const Problem t = turned(p);
    torch::stable::parallel_for(0, p.images, 1, [&](int64_t begin, int64_t end) {
      std::vector<S> in(pixels * p.channels), grad(p.points * p.channels), sum(g.image ? in.size() : 0);
      for (int64_t n = begin; n < end; n++) {
        transpose(image + n * p.image_stride, in.data(), p.channels, pixels);
        transpose(g.output + n * p.channels * p.points, grad.data(), p.channels, p.points);
        std::fill(sum.begin(), sum.end(), S(0));
        Gradients<S> one = g;
        one.output = grad.data();
        if (g.image) one.image = sum.data();
        if (g.coords) one.coords += n * p.points * p.dims;
        if (g.matrix) one.matrix += n * g.groups * (p.dims + 1) * 4;
        if (g.table) one.table += n * g.groups * g.coefficients;
        loops.backward(only(t, n), in.data(), one, 0, 0, p.rows);
        if (g.image) transpose(sum.data(), g.image + n * p.image_stride, pixels, p.channels);
      }
    });
    return;
  }
  const bool by_image = g.image && p.image_stride && wants_where && p.images >= threads;
  if (by_image) {
    torch::stable::parallel_for(0, p.images, 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; n++) loops.backward(p, image, g, n, 0, p.rows);
    });
    return;
  }
  if (wants_where) {
    Gradients<S> where = g;
    where.image = nullptr;
    torch::stable::parallel_for(0, p.images * g.groups, 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) {
        const int64_t first = k % g.groups * g.group_rows;
        loops.backward(p, image, where, k / g.groups, first, std::min(p.rows, first + g.group_rows));
      }
    });
  }
  if (g.image) {  // each thread owns a band of the image's pixels, and looks for what falls into it
    const int64_t slow = p.axis[p.dims - 1].size;
    const int64_t owners = p.image_stride ? p.images : 1;
    const int64_t bands = std::min(slow, std::max<int64_t>(1, (threads + owners - 1) / std::max<int64_t>(1, owners)));
    torch::stable::parallel_for(0, owners * bands, 1, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) {
        const int64_t band = k % bands, low = slow * band / bands, high = slow * (band + 1) / bands;
        const int64_t one = k / bands;
        for (int64_t n = p.image_stride ? one : 0; n < (p.image_stride ? one + 1 : p.images); n++)
          loops.backward_band(p, g, n, low, high);
      }
    });
  }
}

}  // namespace warpkit
