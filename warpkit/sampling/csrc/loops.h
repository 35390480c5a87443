// The loops of each instruction set, and the choice among them.
#pragma once

#include "boundary.h"  // before an instruction set is chosen: it serves all of them
#include "problem.h"

namespace warpkit {

template <class S>
struct Widths {
  Loops<S> narrow, wide;  // 32-bit offsets inside an image, or 64-bit ones
};

struct Level {
  const char* name;
  Widths<float> single;
  Widths<double> twice;
};

extern const Level level_baseline;
#if defined(__x86_64__)
extern const Level level_avx2, level_avx512;
#endif

// The best that this processor has; WARPKIT_LEVEL=baseline|avx2|avx512 asks for less.
const Level& level();

}  // namespace warpkit
