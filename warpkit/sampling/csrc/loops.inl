// Eq. 3 and its gradients, over blocks of LANES output points.
// Included once for each instruction set and width of index, inside a namespace of its own.

using Index = WARPKIT_INDEX;

#include "taps.h"
#include "block.h"
#include "gradients.h"
#include "planar.h"
#include "channels_last.h"

template <class S>
constexpr bool FAST = sizeof(S) == 4 && sizeof(Index) == 4;  // loops of a fixed number of taps; the others are as right

// The number of taps that all axes have in common, or 0.
inline int common_taps(const Problem& p) {
  for (int a = 1; a < p.dims; a++)
    if (p.axis[a].taps != p.axis[0].taps) return 0;
  return p.axis[0].taps;
}

template <class S>
void forward(const Problem& p, const Part& part, const S* image, S* output) {
  if (p.channels_last) return forward_last(p, part, image, output);
  const bool one = p.channels == 1;
  if constexpr (FAST<S>) switch (common_taps(p) * 10 + p.dims) {
      case 12: return forward_planar<1, 2, false>(p, part, image, output);
      case 22:
        return one ? forward_planar<2, 2, true>(p, part, image, output)
                   : forward_planar<2, 2, false>(p, part, image, output);
      case 23: return forward_planar<2, 3, false>(p, part, image, output);
      case 32: return forward_planar<3, 2, false>(p, part, image, output);
      case 42:
        return one ? forward_planar<4, 2, true>(p, part, image, output)
                   : forward_planar<4, 2, false>(p, part, image, output);
      case 43: return forward_planar<4, 3, false>(p, part, image, output);
      case 62: return forward_planar<6, 2, false>(p, part, image, output);
      case 63: return forward_planar<6, 3, false>(p, part, image, output);
    }
  forward_planar<0, 0, false>(p, part, image, output);
}

template <class S>
void backward(const Problem& p, const Part& part, const S* image, const Gradients<S>& g) {
  if (p.channels_last)
    return g.table ? backward_last<true>(p, part, image, g) : backward_last<false>(p, part, image, g);
  if (g.table) return backward_planar<0, 0, false, true>(p, part, image, g);
  const bool one = p.channels == 1;
  if constexpr (FAST<S>) switch (common_taps(p) * 10 + p.dims) {
      case 22:
        return one ? backward_planar<2, 2, true, false>(p, part, image, g)
                   : backward_planar<2, 2, false, false>(p, part, image, g);
      case 23: return backward_planar<2, 3, false, false>(p, part, image, g);
      case 32: return backward_planar<3, 2, false, false>(p, part, image, g);
      case 42:
        return one ? backward_planar<4, 2, true, false>(p, part, image, g)
                   : backward_planar<4, 2, false, false>(p, part, image, g);
      case 43: return backward_planar<4, 3, false, false>(p, part, image, g);
      case 62: return backward_planar<6, 2, false, false>(p, part, image, g);
      case 63: return backward_planar<6, 3, false, false>(p, part, image, g);
    }
  backward_planar<0, 0, false, false>(p, part, image, g);
}

template <class S>
constexpr Loops<S> loops{forward<S>, backward<S>, reach};

#undef WARPKIT_TAPS
#undef WARPKIT_BLOCK
#undef WARPKIT_GRADIENTS
#undef WARPKIT_PLANAR
#undef WARPKIT_CHANNELS_LAST
