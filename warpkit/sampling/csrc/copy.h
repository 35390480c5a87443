// Eq. 4: the nearest pixel as it is. Labels, bytes and complex numbers alike: only their size is known.
// Included once for each instruction set: loops.inl undoes the guard.
#ifndef WARPKIT_COPY
#define WARPKIT_COPY

#include "block.h"

template <class T>
void copy_as(const Problem& p, const Part& part, const T* image, const T* fill, const Sink& sink) {
  Source<float> where{};  // of the pixels, not their values
  for (int a = 0; a < p.dims; a++) where.stride[a] = p.axis[a].stride;
  image += part.image * p.image_stride;
  T* output = static_cast<T*>(sink.output) + part.image * sink.image_stride;
  const auto next = [&](const Block<float>& b) {
    for (int64_t c = 0; c < (p.channels_last ? 1 : p.channels); c++)
      for (int i = 0; i < b.n; i += 4)
        if (b.of(i) == INSIDE) __builtin_prefetch(image + c * p.channel_stride + b.corner[i]);
  };
  for_blocks<false, float>(
      p, part, where, next, [&](const Block<float>& b, const Block<float>&, int64_t, int64_t, int64_t point) {
        Index at[LANES];  // −1: outside
        std::memcpy(at, b.corner, sizeof at);
        for (int i = 0; i < b.n && !b.inside; i++) {
          if (b.of(i) == INSIDE) continue;
          const Edge edge = b.of(i) == EDGE ? Edge(p, b, i) : Edge();
          int64_t sum = 0;
          for (int a = 0; a < p.dims; a++) sum += edge.at[a][0] * p.axis[a].stride;
          at[i] = b.of(i) == EDGE ? Index(sum) : Index(-1);
        }
        const auto copy = [&](auto channels, auto step) {  // constants where there are few
          for (int64_t c = 0; c < channels; c++) {
            const T *from = image + c * p.channel_stride, outside = fill ? fill[c] : T();
            T* to = output + c * sink.channel_stride + point * step;
            if (b.inside)
              for (int i = 0; i < b.n; i++) to[i * step] = from[at[i]];
            else
              for (int i = 0; i < b.n; i++) to[i * step] = at[i] < 0 ? outside : from[at[i]];
          }
        };
        if (sink.point_stride == 1)
          copy(p.channels, std::integral_constant<int64_t, 1>());
        else if (p.channels == 3)
          copy(std::integral_constant<int64_t, 3>(), std::integral_constant<int64_t, 3>());
        else
          copy(p.channels, sink.point_stride);
      });
}

// `size`: of a number, in bytes.
inline void copy(const Problem& p, const Part& part, const void* image, const void* fill, int64_t size, const Sink& sink) {
  struct Large {
    uint64_t low, high;
  };
  const auto as = [&](auto zero) {
    using T = decltype(zero);
    copy_as<T>(p, part, static_cast<const T*>(image), static_cast<const T*>(fill), sink);
  };
  switch (size) {
    case 1: return as(uint8_t());
    case 2: return as(uint16_t());
    case 4: return as(uint32_t());
    case 8: return as(uint64_t());
    default: as(Large());
  }
}

#endif
