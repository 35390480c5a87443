#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "loops.h"

#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#endif
#include <immintrin.h>
#define WARPKIT_AVX512
#define WARPKIT_LEVEL avx512
#include "level.inl"
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
