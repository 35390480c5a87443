// What is sampled, from where, and how: everything that the loops need to know, in plain numbers.
#pragma once

#include <cstdint>

namespace warpkit {

constexpr int LANES = 64;  // output points that are worked on together
constexpr int MAX_TAPS = 16;

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
  int64_t channel_stride, pixel_stride;

  // The output is `rows` runs of `length` points (the last one may be shorter); a matrix sees them as [z, y] × x.
  int64_t points, rows, length, out_size[3];

  Where where;
  bool wide_points;      // float64 coordinates
  const void* coords;    // [N or 1, points, dims], normalised
  const double* matrix;  // [N or 1, dims + 1, dims + 1], normalised
  bool where_shared;

  const double* fill;  // one number for each channel, or null: zero

  int64_t out_offset(int64_t image, int64_t channel, int64_t point) const {
    return channels_last ? (image * points + point) * channels + channel : (image * channels + channel) * points + point;
  }
};

// What the backward pass gives; null: not wanted.
template <class S>
struct Gradients {
  const S* output;   // of the output, laid out like it
  S* image;          // like the image
  double* coords;    // [N, points, dims]
  double* matrix;    // per row group: [N, groups, dims + 1, 2]: sums of g · x and of g
  double* table;     // per row group: [N, groups, coefficients of all axes]
  int64_t group_rows, groups, coefficients;
};

// The loops, compiled once for each instruction set.
template <class S>
struct Loops {
  // Rows first … last of one image.
  void (*forward)(const Problem&, const S* image, S* output, int64_t n, int64_t first, int64_t last);
  // Rows first … last of one image: gradients of the coordinates and tables, and of the image where it is wanted.
  void (*backward)(const Problem&, const S* image, const Gradients<S>&, int64_t n, int64_t first, int64_t last);
  // The gradient of those pixels of an image whose slowest index lies in low … high, from one output image.
  void (*backward_band)(const Problem&, const Gradients<S>&, int64_t n, int64_t low, int64_t high);
};

}  // namespace warpkit
