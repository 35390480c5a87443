// From an image to the coefficients of a spline, along one axis: recursions there and back, one pair for each pole.
//
// A pole z stands for 1 / ((1 − z q⁻¹)(1 − z q)), q a shift by a pixel (kernels/spline_filter.py says why). A line is
// made of the pixels that `source` names, so that what lies beyond the edge is a matter of Python's; further out it is
// zero. Then the whole is a symmetric matrix between two that only pick: the adjoint is the same, from right to left.
#pragma once

#include <algorithm>
#include <vector>

#include "tiles.h"

namespace warpkit {

struct Filter {
  int64_t outer, inner, n;  // an image [outer, n, inner]
  const int64_t* source;    // [length]: the pixel at each place of a line, −1 for zero
  int64_t length, first, kept;  // of these, `kept` from `first` on are the coefficients
  std::vector<double> poles;
  double gain;
};

constexpr int64_t TOGETHER = 32;  // lines that are filtered side by side: a lane is a line

inline void recurse(double* lines, int64_t length, double z) {
  const double end = 1 / (1 - z * z);  // of what goes on beyond the end: 1 + z² + z⁴ + …
  for (int64_t k = 1; k < length; k++)
    for (int64_t i = 0; i < TOGETHER; i++) lines[k * TOGETHER + i] += z * lines[(k - 1) * TOGETHER + i];
  for (int64_t i = 0; i < TOGETHER; i++) lines[(length - 1) * TOGETHER + i] *= end;
  for (int64_t k = length - 2; k >= 0; k--)
    for (int64_t i = 0; i < TOGETHER; i++) lines[k * TOGETHER + i] += z * lines[(k + 1) * TOGETHER + i];
}

// [outer, n, inner] → [outer, kept, inner], or back by the adjoint. A line is filtered in double: coefficients are some
// ten times as large as pixels, and so would be the rounding.
template <class S>
void run_filter(const Filter& f, const S* from, S* to, bool adjoint) {
  const int64_t lines = f.outer * f.inner, blocks = (lines + TOGETHER - 1) / TOGETHER;
  const int64_t grain = std::max<int64_t>(1, GRAIN / (f.length * TOGETHER));
  in_parallel(0, blocks, grain, [&](int64_t begin, int64_t end) {
    std::vector<double> line(f.length * TOGETHER);
    for (int64_t block = begin; block < end; block++) {
      const int64_t start = block * TOGETHER, count = std::min(TOGETHER, lines - start);
      int64_t image[TOGETHER], coefficients[TOGETHER];  // where each line begins
      for (int64_t i = 0; i < count; i++) {
        const int64_t o = (start + i) / f.inner, in = (start + i) % f.inner;
        image[i] = o * f.n * f.inner + in;
        coefficients[i] = o * f.kept * f.inner + in;
      }
      const bool side_by_side = count == TOGETHER && start / f.inner == (start + count - 1) / f.inner;
      // Calls move(place in the line, pixel or coefficient) for each number of each of `size` places.
      const auto all = [&](const int64_t* base, int64_t size, const auto& pixel, const auto& move) {
        if (side_by_side)
          for (int64_t k = 0; k < size; k++) {
            const int64_t at = pixel(k);
            if (at < 0) continue;
            for (int64_t i = 0; i < TOGETHER; i++) move(k * TOGETHER + i, base[0] + at * f.inner + i);
          }
        else
          for (int64_t i = 0; i < count; i++)
            for (int64_t k = 0; k < size; k++)
              if (const int64_t at = pixel(k); at >= 0) move(k * TOGETHER + i, base[i] + at * f.inner);
      };
      const auto sources = [&](int64_t k) { return f.source[k]; };
      const auto itself = [](int64_t k) { return k; };
      double* kept = line.data() + f.first * TOGETHER;
      std::fill(line.begin(), line.end(), 0.0);
      if (adjoint)
        all(coefficients, f.kept, itself, [&](int64_t here, int64_t there) { kept[here] = f.gain * from[there]; });
      else
        all(image, f.length, sources, [&](int64_t here, int64_t there) { line[here] = f.gain * from[there]; });
      const int poles = int(f.poles.size());
      for (int k = 0; k < poles; k++) recurse(line.data(), f.length, f.poles[adjoint ? poles - 1 - k : k]);
      if (adjoint)
        all(image, f.length, sources, [&](int64_t here, int64_t there) { to[there] += S(line[here]); });
      else
        all(coefficients, f.kept, itself, [&](int64_t here, int64_t there) { to[there] = S(kept[here]); });
    }
  });
}

}  // namespace warpkit
