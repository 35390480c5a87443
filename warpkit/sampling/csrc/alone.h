// What a file of the loops needs, so that it can be read by itself, in an editor say. Where loops.inl includes it, the
// namespace and the index of one instruction set are set up already.
#ifndef WARPKIT_INDEX
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "loops.h"

#define WARPKIT_INDEX int32_t
namespace warpkit {}
using namespace warpkit;
using Index = WARPKIT_INDEX;
#endif
