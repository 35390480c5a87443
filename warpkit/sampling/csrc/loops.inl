// Eq. 3 and its gradients, over blocks of LANES output points.
// Included once for each instruction set and width of index, inside a namespace of its own.

using Index = WARPKIT_INDEX;

#include "taps.h"
#include "block.h"
#include "gradients.h"
#include "planar.h"
#include "channels_last.h"

constexpr int64_t MANY_CHANNELS = 8;

template <class S>
constexpr bool FAST = sizeof(S) == 4 && sizeof(Index) == 4;  // loops of a fixed number of taps; the others are as right

template <class S>
void forward(const Problem& p, const S* image, S* output, int64_t n, int64_t first, int64_t last) {
  if (p.channels_last && p.channels >= MANY_CHANNELS) return forward_last(p, image, output, n, first, last);
  if constexpr (FAST<S>) switch (p.axis[0].taps) {
      case 1: return forward_planar<1>(p, image, output, n, first, last);
      case 2: return forward_planar<2>(p, image, output, n, first, last);
      case 3: return forward_planar<3>(p, image, output, n, first, last);
      case 4: return forward_planar<4>(p, image, output, n, first, last);
      case 6: return forward_planar<6>(p, image, output, n, first, last);
    }
  forward_planar<0>(p, image, output, n, first, last);
}

template <bool WHERE, bool IMAGE, class S>
void backward_any(
    const Problem& p, const S* image, const Gradients<S>& g, int64_t n, int64_t first, int64_t last, const Band* band) {
  if (p.channels_last && p.channels >= MANY_CHANNELS)
    return backward_last<WHERE, IMAGE>(p, image, g, n, first, last, band);
  if constexpr (FAST<S>) switch (p.axis[0].taps) {
      case 2: return backward_planar<2, WHERE, IMAGE>(p, image, g, n, first, last, band);
      case 4: return backward_planar<4, WHERE, IMAGE>(p, image, g, n, first, last, band);
      case 6: return backward_planar<6, WHERE, IMAGE>(p, image, g, n, first, last, band);
    }
  backward_planar<0, WHERE, IMAGE>(p, image, g, n, first, last, band);
}

template <class S>
void backward(const Problem& p, const S* image, const Gradients<S>& g, int64_t n, int64_t first, int64_t last) {
  g.image ? backward_any<true, true>(p, image, g, n, first, last, nullptr)
          : backward_any<true, false>(p, image, g, n, first, last, nullptr);
}

template <class S>
void backward_band(const Problem& p, const Gradients<S>& g, int64_t n, int64_t low, int64_t high) {
  const Band band{low, high};
  backward_any<false, true>(p, static_cast<const S*>(nullptr), g, n, 0, p.rows, &band);
}

template <class S>
constexpr Loops<S> loops{forward<S>, backward<S>, backward_band<S>};
