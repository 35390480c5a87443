// Eq. 3 and its gradients, over blocks of LANES output points.
// Included once for each instruction set and width of index, inside a namespace of its own.

using Index = WARPKIT_INDEX;

#include "taps.h"
#include "block.h"
#include "gradients.h"
#include "met.h"
#include "stored.h"
#include "planar.h"
#include "channels_last.h"
#include "copy.h"

template <class S>
void forward(const Problem& p, const Part& part, const Source<S>& image, const Sink& sink) {
  if (image.stride[0] == 1 || !image.pixels) return forward_planar(p, part, image, sink);
  forward_last(p, part, image, sink);
}

template <class S>
void backward(const Problem& p, const Part& part, const Source<S>& image, const Gradients<S>& g) {
  if (p.channels_last)
    return g.table ? backward_last<true>(p, part, image, g) : backward_last<false>(p, part, image, g);
  return g.table ? backward_planar<true>(p, part, image, g) : backward_planar<false>(p, part, image, g);
}

template <class S>
constexpr Loops<S> loops{forward<S>, backward<S>, convert<S>, copy, reach};

#undef WARPKIT_TAPS
#undef WARPKIT_BLOCK
#undef WARPKIT_GRADIENTS
#undef WARPKIT_STORED
#undef WARPKIT_MET
#undef WARPKIT_COPY
#undef WARPKIT_PLANAR
#undef WARPKIT_CHANNELS_LAST
