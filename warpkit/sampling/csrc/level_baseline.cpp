#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "loops.h"

#define WARPKIT_LEVEL baseline
#include "level.inl"
