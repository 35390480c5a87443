// Numbers as they are stored ↔ as they are summed. Halves by whole numbers: not every processor knows them.
// Included once for each instruction set: loops.inl undoes the guard.
#ifndef WARPKIT_STORED
#define WARPKIT_STORED

#include "taps.h"

template <class To, class From>
inline To bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

struct Half {
  uint16_t h;

  operator float() const {
    const uint32_t shifted = uint32_t(h & 0x7fff) << 13;  // exponent and fraction, where a float has them
    const float scaled = bits<float>(shifted) * bits<float>(uint32_t(0x77800000));  // 2^112; subnormal numbers too
    const uint32_t special = shifted >= 0x0f800000 ? 0x7f800000 : 0;                // infinity, NaN
    return bits<float>(bits<uint32_t>(scaled) | special | uint32_t(h & 0x8000) << 16);
  }
  // Rounded to the nearest, the even one of two.
  static Half of(float x) {
    const uint32_t all = bits<uint32_t>(x), sign = all & 0x80000000, f = all ^ sign;
    const uint32_t normal = (f - 0x38000000 + 0xfff + ((f >> 13) & 1)) >> 13;
    const uint32_t small = bits<uint32_t>(bits<float>(f) + 0.5f) - 0x3f000000;  // the addition rounds
    const uint32_t large = f > 0x7f800000 ? 0x7e00 : 0x7c00;
    const uint32_t h = f >= 0x47800000 ? large : f < 0x38800000 ? small : normal;
    return {uint16_t(h | sign >> 16)};
  }
};

struct BFloat {
  uint16_t h;

  operator float() const { return bits<float>(uint32_t(h) << 16); }
  static BFloat of(float x) {
    const uint32_t all = bits<uint32_t>(x), rounded = (all + 0x7fff + ((all >> 16) & 1)) >> 16;
    return {uint16_t((all & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded)};
  }
};

// To a stored type: whole numbers are rounded, halves to the even one, and stop at the type's limits.
template <class T, class S>
inline T stored_as(S x) {
  if constexpr (std::is_same<T, Half>::value || std::is_same<T, BFloat>::value) {
    return T::of(float(x));
  } else if constexpr (std::is_integral<T>::value) {
    constexpr S low = S(std::numeric_limits<T>::min()), high = S(std::numeric_limits<T>::max());
    const S inside = x > low ? (x < high ? x : high) : low;  // a NaN is `low`
    if constexpr (sizeof(T) <= 2) return T(int32_t(std::nearbyint(inside)));
    return T(std::nearbyint(inside));
  } else {
    return T(x);
  }
}

// Calls work(a number of the type) for the type that is stored.
template <class Work>
inline ALWAYS auto with_stored(Stored stored, const Work& work) {
  switch (stored) {
    case DOUBLE: return work(double());
    case HALF: return work(Half());
    case BFLOAT: return work(BFloat());
    case UINT8: return work(uint8_t());
    case INT8: return work(int8_t());
    case UINT16: return work(uint16_t());
    case INT16: return work(int16_t());
    case INT32: return work(int32_t());
    default: return work(float());
  }
}

template <class S>
constexpr Stored OWN = sizeof(S) == 4 ? FLOAT : DOUBLE;

template <class S>
void convert(const void* from, Stored stored, int64_t step, int64_t count, S* to) {
  with_stored(stored, [&](auto zero) {
    const auto* numbers = static_cast<const decltype(zero)*>(from);
    if (step == 1)
      for (int64_t k = 0; k < count; k++) to[k] = S(numbers[k]);
    else
      for (int64_t k = 0; k < count; k++) to[k] = S(numbers[k * step]);
  });
}

template <class S>
inline S pixel(const Source<S>& image, int64_t element) {
  if (image.pixels) return image.pixels[element];
  return with_stored(image.stored, [&](auto zero) { return S(static_cast<const decltype(zero)*>(image.raw)[element]); });
}

// The values of up to a vector of neighbouring points go to the output.
template <class S>
inline ALWAYS void store(
    const Sink& sink, int64_t image, int64_t channel, int64_t point, const typename Wide<S>::Vector& values, int n) {
  const int64_t at = image * sink.image_stride + channel * sink.channel_stride + point * sink.point_stride;
  if (sink.stored == OWN<S> && sink.point_stride == 1) {
    S* to = static_cast<S*>(sink.output) + at;
    if (n == Wide<S>::SIZE) return Wide<S>::store(to, values);
    alignas(64) S some[Wide<S>::SIZE];
    Wide<S>::store(some, values);
    for (int i = 0; i < n; i++) to[i] = some[i];
    return;
  }
  alignas(64) S some[Wide<S>::SIZE];
  Wide<S>::store(some, values);
  with_stored(sink.stored, [&](auto zero) {
    using T = decltype(zero);
    T* to = static_cast<T*>(sink.output) + at, numbers[Wide<S>::SIZE];
    for (int i = 0; i < Wide<S>::SIZE; i++) numbers[i] = stored_as<T>(some[i]);
    if (sink.point_stride == 1 && n == Wide<S>::SIZE)
      std::memcpy(to, numbers, sizeof numbers);
    else if (sink.point_stride == 1)
      for (int i = 0; i < n; i++) to[i] = numbers[i];
    else
      for (int i = 0; i < n; i++) to[i * sink.point_stride] = numbers[i];
  });
}

#endif
