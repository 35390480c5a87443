// The boundary's rule: which pixel stands at an index inside or outside of an axis. The same as boundary.py.
#pragma once

#include <algorithm>
#include <cstdint>

#include "problem.h"

namespace warpkit {

inline int64_t modulo(int64_t i, int64_t n) {
  const int64_t r = i % n;
  return r < 0 ? r + n : r;
}

inline int64_t place(int64_t i, int64_t n, Padding padding, bool align_corners) {
  if (i >= 0 && i < n) return i;
  switch (padding) {
    case WRAP: return modulo(i, n);
    case REFLECTION: {
      if (align_corners) {
        if (n == 1) return 0;
        i = modulo(i, 2 * n - 2);
        return i < 2 * n - 2 - i ? i : 2 * n - 2 - i;
      }
      i = modulo(i, 2 * n);
      return i < 2 * n - 1 - i ? i : 2 * n - 1 - i;
    }
    default: return i < 0 ? 0 : n - 1;
  }
}

// Whether a tap at this index is read; under "zeros" the ones outside are not.
inline bool is_read(const Axis& axis, int64_t j) { return axis.padding != ZEROS || (j >= 0 && j < axis.size); }

// The indices low … high of one axis, after the boundary's rule.
inline void bring_inside(const Axis& axis, int64_t& low, int64_t& high) {
  const int64_t n = axis.size;
  if (low >= 0 && high < n) return;
  switch (axis.padding) {
    case REFLECTION:
      if (low > -n && high < 2 * n - 1) {
        const int64_t mirrored_low = high >= n ? std::min(low, 2 * n - 2 - high) : low;
        const int64_t mirrored_high = low < 0 ? std::max(high, -low) : high;
        low = std::max<int64_t>(0, mirrored_low);
        high = std::min(n - 1, mirrored_high);
        return;
      }
      [[fallthrough]];
    case WRAP:
      low = 0;
      high = n - 1;
      return;
    default: low = std::min(n - 1, std::max<int64_t>(0, low)); high = std::min(n - 1, std::max<int64_t>(0, high));
  }
}

}  // namespace warpkit
