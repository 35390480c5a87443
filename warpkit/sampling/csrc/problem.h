// What is sampled, from where, and how: everything that the loops need to know, in plain numbers.
#pragma once

#include <cstdint>

namespace warpkit {

constexpr int LANES = 64;  // output points that are worked on together
constexpr int MAX_TAPS = 16;
constexpr int64_t LONG_AXIS = 1 << 29;  // pixels; a longer one is indexed in 64 bits

enum Padding { ZEROS, BORDER, REFLECTION, WRAP };
enum Where { POINTS, AFFINE, PROJECTIVE };

// One axis of the image, in the order x, y, z.
struct Axis {
  int64_t size;    // pixels
  int64_t stride;  // elements from one pixel to the next
  Padding padding;
  int pieces, taps, degree;
  bool unity;           // the weights sum to one
  const double* table;  // [pieces, taps, degree + 1], ascending powers
  int64_t start;        // where it starts among all coefficients
};

struct Problem {
  int dims;
  Axis axis[3];
  bool align_corners;
  bool channels_last;

  int64_t images, channels;  // of the output
  int64_t image_stride;      // elements from one image to the next; 0: all read the same
  int64_t channel_stride;

  // The output is `rows` runs of `length` points (the last one may be shorter); a matrix sees them as [z, y] × x.
  int64_t points, rows, length, out_size[3];

  Where where;
  bool wide_points;      // float64 coordinates
  const void* coords;    // [N or 1, points, dims], normalised
  const double* matrix;  // [N or 1, dims + 1, dims + 1], normalised
  bool where_shared;

  const double* fill;  // one number for each channel, or null: zero

  int64_t out_offset(int64_t image, int64_t channel, int64_t point) const {
    return channels_last ? (image * points + point) * channels + channel
                         : (image * channels + channel) * points + point;
  }
};

// From an index of the output to its normalised coordinate: index · scale + offset.
struct OutputAxis {
  double scale, offset;

  OutputAxis(const Problem& p, int axis) {
    const int64_t size = p.out_size[axis];
    scale = p.align_corners ? (size > 1 ? 2.0 / (size - 1) : 0.0) : 2.0 / size;
    offset = p.align_corners ? (size > 1 ? -1.0 : 0.0) : 1.0 / size - 1;
  }
};

// A part of one output image: columns left … right of rows top … bottom.
struct Part {
  int64_t image, top, bottom, left, right;
};

// Pixels that gradients are added to: those of an image, or of a box of them.
template <class S>
struct Target {
  S* pixels;
  int64_t stride[3], channel_stride;  // as in Problem
  int64_t origin;                     // where pixel 0 of all axes would be
};

// What the backward pass gives for one part; null: not wanted.
template <class S>
struct Gradients {
  const S* output;  // of the whole output, laid out like it
  Target<S> image;
  double* coords;  // [N, points, dims]
  double* matrix;  // [dims + 1, 4]: sums over the part of g · x, g · y, g · z and g
  double* table;   // all coefficients, summed over the part
};

// A box of pixel indices that holds all taps of a part, before the boundary's rule.
struct Reach {
  int64_t low[3], high[3];  // high is included
};

// The loops, compiled once for each instruction set.
template <class S>
struct Loops {
  void (*forward)(const Problem&, const Part&, const S* image, S* output);
  void (*backward)(const Problem&, const Part&, const S* image, const Gradients<S>&);
  Reach (*reach)(const Problem&, const Part&);
};

}  // namespace warpkit
