// NOTE: how an image is sampled, from the first line to the last.
//
// What is to be done comes as a `Problem`: plain numbers and pointers, the same for every kernel, transform and padding.
// It is eq. 3 of Jaderberg et al. 2015 for separable kernels: an output value is the sum, over one tap on each axis, of
// pixel · product of the taps' weights. Three things are made of it:
//   pull       the sum itself                                               (eq. 3)   image, points → output
//   push       its adjoint in the image: each output value is spread        (eq. 6)   output, points → image
//   gradients  push, and the derivative in the coordinates, in one pass     (eq. 7)
// Higher derivatives need nothing new: with a table that was differentiated (`Axis::order`) pull is a derivative.
//
// The way of a call, file by file:
//   module.cpp       what Python calls: addresses and sizes → Problem. Checks everything that would be read out of range.
//   tiles.h          Problem → tiles of the output (`Part`). threads.h: tiles → threads; waves.h: of few large images.
//   loops.inl        one tile, for one instruction set: the loop for the image's layout.
//   block.h          64 neighbouring output points (`Block`): first tap, weights and state of each, on every axis.
//   taps.h           output index → pixel coordinate → first tap and fraction → weights, by the kernel's table.
//   boundary.h       index of a tap → the pixel that stands there.
//   stored.h         numbers as they are stored (bytes, halves …) ↔ as they are summed.
//   planar.h         eq. 3, 6 and 7 for an image in planes: a lane is a point (`forward_planar`, `backward_planar`).
//   channels_last.h  the same with the channels last: a lane is a channel (`forward_last`, `backward_last`).
//   met.h            the taps of a point one by one, for the latter and for the gradient of the table.
//   copy.h           eq. 4, the nearest pixel as it is, of any type (`copy`).
//   filter.h         image → coefficients of a spline, before all this.
//   gradients.h      gradients of pixel coordinates and weights → those of points, matrix and table.
//
// A point is INSIDE where all its taps lie in the image: then they are neighbours in memory, and nothing is asked. EDGE
// points go through the boundary's rule, tap by tap. NOTHING is read for the others: they are outside or dead (their
// coordinate is not finite, they lie behind a horizon or, under padding "none", beyond the image) and get `fill`.
//
// STORED is not summed: an image of bytes or halves is converted a tile at a time (threads.h, `forward_staged`), into
// planes that stay in the cache, and what leaves is converted back, a vector of points at a time.
//
// The same bits for any number of threads: tiles do not depend on the threads, each sums for itself, and the sums are
// added up in the tiles' order. An image's gradient is written by one thread, or in boxes that are added in order.
#pragma once

#include <cstdint>

// What is called for each vector of points: the compiler would rather not, and then everything goes through memory.
#define ALWAYS __attribute__((always_inline))

namespace warpkit {

constexpr int LANES = 64;  // output points that are worked on together
constexpr int MAX_TAPS = 16;
constexpr int64_t LONG_AXIS = 1 << 29;  // pixels; a longer one is indexed in 64 bits

// Their order is that of `warpkit.sampling`, which compares it when the library is loaded.
enum Padding { ZEROS, BORDER, REFLECTION, WRAP, NONE };
enum Where { POINTS, SHIFTS, AFFINE, PROJECTIVE };

// How an image's numbers are stored. They are summed in float, and in double from 32 bits.
enum Stored : int { FLOAT, DOUBLE, HALF, BFLOAT, UINT8, INT8, UINT16, INT16, INT32 };

// One axis of the image, in the order x, y, z.
struct Axis {
  int64_t size;            // pixels that are stored
  int64_t extent, begin;   // pixels from −1 to 1, and which of them is stored first; less than 0 is beyond the edge
  int64_t stride;          // elements from one pixel to the next
  Padding padding;
  int pieces, taps, degree;
  bool unity;           // the weights sum to one (to zero, once differentiated)
  int order;            // how often the table was differentiated
  bool jumps;           // the weights do at a joint: ε decides on which side of it a point lies
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

  // The output is `rows` runs of `length` points (the last one may be shorter); a matrix sees them as [z, y] × x. It may be
  // a part of a larger one: −1 … 1 spans `whole` pixels, and what is asked for begins at `origin`.
  int64_t points, rows, length, out_size[3], whole[3], origin[3];

  Where where;
  bool wide_points;      // float64 coordinates
  const void* coords;    // [N or 1, points, dims], normalised; SHIFTS: from where each output pixel lies itself
  const double* matrix;  // [N or 1, dims + 1, dims + 1], normalised
  bool where_shared;

  double epsilon;  // rounding of the type that the coordinates were computed in
  bool slopes;     // the derivative in the coordinates or the table is wanted, for which ε decides, too

  const double* fill;  // one number for each channel, or null: zero

  int taps(int a) const { return a < dims ? axis[a].taps : 1; }

  // What the weights sum to where all taps are read: 1, and 0 once one axis is differentiated.
  double total() const {
    for (int a = 0; a < dims; a++)
      if (axis[a].order > 0) return 0;
    return 1;
  }

  int64_t out_offset(int64_t image, int64_t channel, int64_t point) const {
    return channels_last ? (image * points + point) * channels + channel
                         : (image * channels + channel) * points + point;
  }
};

// From an index of the output to its normalised coordinate: index · scale + offset.
struct OutputAxis {
  double scale, offset;

  OutputAxis(const Problem& p, int axis) {
    const int64_t size = p.whole[axis];
    scale = p.align_corners ? (size > 1 ? 2.0 / (size - 1) : 0.0) : 2.0 / size;
    offset = p.align_corners ? (size > 1 ? -1.0 : 0.0) : 1.0 / size - 1;
  }
};

// A part of one output image: columns left … right of rows top … bottom.
struct Part {
  int64_t image, top, bottom, left, right;
};

// Pixels that are read or added to: those of an image, or of a box of them.
template <class S>
struct Pixels {
  S* pixels;
  int64_t stride[3], channel_stride;  // as in Problem
  int64_t origin;                     // where pixel 0 of all axes would be
};
template <class S>
using Target = Pixels<S>;

// An image as it is read. `pixels` is null where it has to be read number by number: see stored.h.
template <class S>
struct Source : Pixels<const S> {
  const void* raw;
  Stored stored;
};

// Where the output goes.
struct Sink {
  void* output;
  Stored stored;
  int64_t image_stride, channel_stride, point_stride;
};

// What the backward pass gives for one part; null: not wanted.
template <class S>
struct Gradients {
  const S* output;  // of the whole output, laid out like it
  Target<S> image;
  void* coords;    // [N, points, dims], of the points' type
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
  void (*forward)(const Problem&, const Part&, const Source<S>& image, const Sink&);
  void (*backward)(const Problem&, const Part&, const Source<S>& image, const Gradients<S>&);
  // Part of an image, number by number in the type they are summed in: `count` of them, each `step` from the next.
  void (*convert)(const void* from, Stored, int64_t step, int64_t count, S* to);
  // Numbers of `size` bytes, as they are.
  void (*copy)(const Problem&, const Part&, const void* image, const void* fill, int64_t size, const Sink&);
  Reach (*reach)(const Problem&, const Part&);
};

}  // namespace warpkit
