// Images in planes: a lane is a point.
//
// The taps of a point along x are neighbours in memory, and are loaded together: four floats, two of them, or one (two
// doubles, or one). A number of taps is made of such CHUNKS: 6 are 4 and 2. A vector consists of quarters of 128 bits,
// in each of which lie the chunks of one point, or of two. Where the rows of taps have been added up, weighted by all
// axes but x, the quarters are turned, and a vector has one tap of each point, to be weighted along x.
//
// This is so for points whose taps can be read as they lie. Of the others, at an edge say, they are laid out in a PATCH.
// Included once for each instruction set: loops.inl undoes the guard.
#ifndef WARPKIT_PLANAR
#define WARPKIT_PLANAR

#include "block.h"
#include "gradients.h"
#include "met.h"
#include "stored.h"

// WIDTH taps of each of the points of one vector, in WIDTH vectors of chunks.
template <class S, int WIDTH>
struct Chunks {
  using W = Wide<S>;
  using Vector = typename W::Vector;
  static constexpr int SIZE = W::SIZE, QUARTER = SIZE / 4;
  typedef S Quarter __attribute__((vector_size(16)));
  typedef S Unaligned __attribute__((vector_size(16), aligned(sizeof(S))));

  Vector v[WIDTH] = {};

  // The quarter's chunks of part `s`, from where these points' taps begin.
  ALWAYS static Quarter quarter(const S* from, const Index* corner, int s) {
    if constexpr (WIDTH == QUARTER) return *reinterpret_cast<const Unaligned*>(from + corner[s]);
    if constexpr (WIDTH == 1 && QUARTER == 4)
      return Quarter{from[corner[0]], from[corner[1]], from[corner[2]], from[corner[3]]};
    if constexpr (WIDTH == 1 && QUARTER == 2) return Quarter{from[corner[0]], from[corner[1]]};
  }
  ALWAYS static Vector join(const Quarter& a, const Quarter& b, const Quarter& c, const Quarter& d) {
#if defined(WARPKIT_AVX512)  // the compiler makes detours
    using Whole = __m512;
    Whole whole = _mm512_castps128_ps512(reinterpret_cast<__m128>(a));
    whole = _mm512_insertf32x4(whole, reinterpret_cast<__m128>(b), 1);
    whole = _mm512_insertf32x4(whole, reinterpret_cast<__m128>(c), 2);
    return reinterpret_cast<Vector>(_mm512_insertf32x4(whole, reinterpret_cast<__m128>(d), 3));
#else
    if constexpr (QUARTER == 4) {
      const auto low = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
      const auto high = __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7);
      return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    } else {
      const auto low = __builtin_shufflevector(a, b, 0, 1, 2, 3), high = __builtin_shufflevector(c, d, 0, 1, 2, 3);
      return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
    }
#endif
  }
  ALWAYS static Vector load(const S* from, const Index* corner, int s) {
    if constexpr (WIDTH == 2 && QUARTER == 4) {  // two floats are moved like one double
      const auto pair = [&](int i) ALWAYS {
        double both;
        std::memcpy(&both, from + corner[i / 2 * 4 + 2 * s + i % 2], sizeof both);
        return both;
      };
      typedef double Doubles __attribute__((vector_size(64)));
      return reinterpret_cast<Vector>(Doubles{pair(0), pair(1), pair(2), pair(3), pair(4), pair(5), pair(6), pair(7)});
    } else {
      return join(
          quarter(from, corner, s), quarter(from, corner + QUARTER, s), quarter(from, corner + 2 * QUARTER, s),
          quarter(from, corner + 3 * QUARTER, s));
    }
  }
  // What belongs to each point, repeated for each tap of part `s`.
  ALWAYS static Vector spread(const Vector& w, int s) {
    if constexpr (WIDTH == 1) return w;
    if constexpr (WIDTH == 2 && QUARTER == 4)
      return s ? __builtin_shufflevector(w, w, 2, 2, 3, 3, 6, 6, 7, 7, 10, 10, 11, 11, 14, 14, 15, 15)
               : __builtin_shufflevector(w, w, 0, 0, 1, 1, 4, 4, 5, 5, 8, 8, 9, 9, 12, 12, 13, 13);
    if constexpr (WIDTH == 2 && QUARTER == 2)
      return s ? __builtin_shufflevector(w, w, 1, 1, 3, 3, 5, 5, 7, 7)
               : __builtin_shufflevector(w, w, 0, 0, 2, 2, 4, 4, 6, 6);
    if constexpr (WIDTH == 4) switch (s) {
        case 0: return __builtin_shufflevector(w, w, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
        case 1: return __builtin_shufflevector(w, w, 1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13, 13);
        case 2: return __builtin_shufflevector(w, w, 2, 2, 2, 2, 6, 6, 6, 6, 10, 10, 10, 10, 14, 14, 14, 14);
        default: return __builtin_shufflevector(w, w, 3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15);
      }
  }
  // Tap t of each point, weight[t · LANES] each, added up.
  ALWAYS Vector along(const S* weight) const {
    const auto w = [&](int t) ALWAYS { return W::load(weight + t * LANES); };
    if constexpr (WIDTH == 1) return w(0) * v[0];
    if constexpr (WIDTH == 2 && QUARTER == 4)
      return w(0) * __builtin_shufflevector(v[0], v[1], 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30) +
             w(1) * __builtin_shufflevector(v[0], v[1], 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31);
    if constexpr (WIDTH == 2 && QUARTER == 2)
      return w(0) * __builtin_shufflevector(v[0], v[1], 0, 8, 2, 10, 4, 12, 6, 14) +
             w(1) * __builtin_shufflevector(v[0], v[1], 1, 9, 3, 11, 5, 13, 7, 15);
    if constexpr (WIDTH == 4) {
      const auto low = [](const Vector& a, const Vector& b) ALWAYS {
        return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
      };
      const auto high = [](const Vector& a, const Vector& b) ALWAYS {
        return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
      };
      const auto first = [](const Vector& a, const Vector& b) ALWAYS {
        return __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      };
      const auto second = [](const Vector& a, const Vector& b) ALWAYS {
        return __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
      };
      const Vector a = low(v[0], v[1]), b = high(v[0], v[1]), c = low(v[2], v[3]), d = high(v[2], v[3]);
      return (w(0) * first(a, c) + w(1) * second(a, c)) + (w(2) * first(b, d) + w(3) * second(b, d));
    }
  }
};

// Calls work(width, first tap), the width a constant, for the chunks that the taps along x are made of.
template <class S, class Work>
inline ALWAYS void for_chunks(int taps, const Work& work) {
  constexpr int QUARTER = Wide<S>::SIZE / 4;
  int t = 0;
  for (; t + QUARTER <= taps; t += QUARTER) work(std::integral_constant<int, QUARTER>(), t);
  if constexpr (QUARTER == 4)
    if (t + 2 <= taps) work(std::integral_constant<int, 2>(), t), t += 2;
  if (t < taps) work(std::integral_constant<int, 1>(), t);
}

// The rows of taps of a block: one for each pair of taps on y and z, with what it weighs; and its slopes on these axes.
template <class S, bool SLOPES>
struct Rows {
  int count;
  int64_t offset[MAX_TAPS * MAX_TAPS];  // elements from the first row
  std::vector<S> products;
  const S *weight[MAX_TAPS * MAX_TAPS], *slope[2][MAX_TAPS * MAX_TAPS];

  Rows(const Problem& p, const int64_t* stride) {
    const int ny = p.taps(1), nz = p.taps(2);
    count = ny * nz;
    for (int k = 0; k < count; k++) offset[k] = k / ny * stride[2] + k % ny * stride[1];
    products.assign(p.dims == 3 ? (SLOPES ? 3 : 1) * count * LANES : LANES, S(1));
  }
  void of(const Problem& p, const Block<S>& b) {
    const int ny = p.taps(1);
    if (p.dims == 1) weight[0] = products.data();
    for (int k = 0; p.dims == 2 && k < count; k++) weight[k] = b.axis[1].weight[k], slope[0][k] = b.axis[1].slope[k];
    for (int k = 0; p.dims == 3 && k < count; k++) {
      const auto multiply = [&](const S* y, const S* z, int part) {
        S* to = products.data() + (part * count + k) * LANES;
        for (int i = 0; i < b.lanes; i++) to[i] = y[i] * z[i];
        return to;
      };
      const Taps<S>&y = b.axis[1], &z = b.axis[2];
      weight[k] = multiply(y.weight[k % ny], z.weight[k / ny], 0);
      if (SLOPES) slope[0][k] = multiply(y.slope[k % ny], z.weight[k / ny], 1);
      if (SLOPES) slope[1][k] = multiply(y.weight[k % ny], z.slope[k / ny], 2);
    }
  }
};

// Where the taps of one vector of points begin, and how far it is from one of their rows to the next.
template <class S>
struct View {
  const S* pixels;
  const Index* corner;
  const int64_t* offset;
};

// Calls work(0), work(1) … with constants.
template <int COUNT, class Work>
inline ALWAYS void for_each(const Work& work) {
  if constexpr (COUNT > 0) {
    for_each<COUNT - 1>(work);
    work(std::integral_constant<int, COUNT - 1>());
  }
}

// Calls work(row of taps): ROWS times, or as often as is known only now.
template <int ROWS, class Work>
inline ALWAYS void for_rows(int count, const Work& work) {
  if constexpr (ROWS > 0)
    for_each<ROWS>(work);
  else
    for (int k = 0; k < count; k++) work(k);
}

// Calls work(a constant: the number of rows, or 0 for any) where that pays.
template <class Work>
inline void with_rows(int count, const Work& work) {
  if (count == 2) return work(std::integral_constant<int, 2>());
  if (count == 4) return work(std::integral_constant<int, 4>());
  work(std::integral_constant<int, 0>());
}

// A block whose taps are moved into the image, and their weights among them: under "zeros" what was outside weighs nothing,
// else the edge gets it. Then all points are read as if they were inside, at once. But zero times what is not finite is
// no zero: where such a result comes out, the taps that nothing was moved to are to be left out.
template <class S>
struct Brought {
  Block<S> in;
  alignas(64) Index place[3][MAX_TAPS][LANES];  // of each tap, among the moved ones

  // False where an axis is folded or has fewer pixels than taps.
  template <bool SLOPES>
  bool of(const Problem& p, const Block<S>& b, const Source<S>& image) {
    if (b.inside) return false;
    for (int a = 0; a < p.dims; a++) {
      const Padding padding = p.axis[a].padding;
      if (padding == REFLECTION || padding == WRAP || p.axis[a].size < p.axis[a].taps) return false;
    }
    const int lanes = in.lanes = b.lanes;
    in.n = b.n;
    in.any_dead = false;
    in.inside = true;
    for (int a = 0; a < p.dims; a++) {
      const Taps<S>& from = b.axis[a];
      Taps<S>& to = in.axis[a];
      const int taps = p.axis[a].taps;
      const Index end = Index(p.axis[a].size - 1), last = end - (taps - 1);
      const bool zeros = p.axis[a].padding == ZEROS;
      for (int i = 0; i < lanes; i++) {
        const Index j = from.first[i];
        to.first[i] = j < 0 ? 0 : j > last ? last : j;
      }
      for (int u = 0; u < taps; u++)
        for (int i = 0; i < lanes; i++) {
          const Index j = from.first[i] + u, k = zeros ? j : j < 0 ? 0 : j > end ? end : j;
          place[a][u][i] = k - to.first[i];
        }
      if (b.any_dead)
        for (int u = 0; u < taps; u++)
          for (int i = 0; i < lanes; i++) place[a][u][i] = b.dead[i] ? -1 : place[a][u][i];
      const auto move = [&](const auto& old, auto& moved) {
        for (int t = 0; t < taps; t++) {
          alignas(64) S sum[LANES] = {};
          for (int u = 0; u < taps; u++)
            for (int i = 0; i < lanes; i++) sum[i] += place[a][u][i] == t ? old[u][i] : S(0);
          std::memcpy(moved[t], sum, sizeof sum);
        }
      };
      move(from.weight, to.weight);
      if (SLOPES) move(from.slope, to.slope);
    }
    find_corners(p, in, image.stride, image.origin, in.corner);
    return true;
  }
};

// The taps of points that cannot be read as they lie, row by row; zero where there is none.
template <class S>
struct Patch {
  static constexpr int SIZE = Wide<S>::SIZE;
  std::vector<S> pixels;
  Index corner[SIZE];
  std::vector<int64_t> offset;
  alignas(64) Index at[3][MAX_TAPS][LANES];  // pixel indices of a block's taps, below 0 for what is not read

  // `channels`: as many as are filled at once.
  Patch(const Problem& p, int rows, int64_t channels) : pixels(size_t(SIZE) * rows * p.axis[0].taps * channels), offset(rows) {
    for (int i = 0; i < SIZE; i++) corner[i] = Index(i * rows * p.axis[0].taps);
    for (int k = 0; k < rows; k++) offset[k] = k * p.axis[0].taps;
  }
  // Looks up the edges of a block's points, once for all channels.
  void find(const Problem& p, const Block<S>& b) {
    const int lanes = b.lanes;
    for (int a = 0; a < p.dims; a++) {
      const Axis& axis = p.axis[a];
      const Index *first = b.axis[a].first, last = Index(axis.size - 1);
      for (int t = 0; t < axis.taps; t++) {
        Index* to = at[a][t];
        if (axis.padding == ZEROS)
          for (int i = 0; i < lanes; i++) {
            const Index j = first[i] + t;
            to[i] = j | ((last - j) >> (8 * sizeof(Index) - 1));  // negative where it is outside
          }
        else
          for (int i = 0; i < lanes; i++)
            to[i] = Index(place(int64_t(first[i]) + t, axis.size, axis.padding, p.align_corners));
      }
    }
    if (b.any_dead)
      for (int t = 0; t < p.axis[0].taps; t++)
        for (int i = 0; i < lanes; i++) at[0][t][i] = b.dead[i] ? -1 : at[0][t][i];
  }
  // The same for one that was brought in: the taps that something was moved to.
  void find(const Problem& p, const Brought<S>& b) {
    for (int a = 0; a < p.dims; a++)
      for (int t = 0; t < p.axis[a].taps; t++)
        for (int i = 0; i < b.in.lanes; i++) {
          bool met = false;
          for (int u = 0; u < p.axis[a].taps; u++) met |= b.place[a][u][i] == t;
          at[a][t][i] = met ? b.in.axis[a].first[i] + t : Index(-1);
        }
  }
  int64_t channel_stride(const Problem& p) const { return int64_t(SIZE) * offset.size() * p.axis[0].taps; }
  View<S> view() const { return {pixels.data(), corner, offset.data()}; }

  // `slot`: where among the channels that are filled at once.
  View<S> fill(const Problem& p, int g, const Source<S>& image, int64_t channel, int64_t slot) {
    const int64_t *stride = image.stride, plane = channel * image.channel_stride - image.origin;
    const int taps = p.axis[0].taps, ny = p.taps(1), nz = p.taps(2);
    S* to = pixels.data() + slot * channel_stride(p);
    for (int i = g; i < g + SIZE; i++)
      for (int z = 0; z < nz; z++)
        for (int y = 0; y < ny; y++, to += taps) {
          const int64_t py = p.dims > 1 ? at[1][y][i] : 0, pz = p.dims > 2 ? at[2][z][i] : 0;
          const int64_t row = plane + py * stride[1] + pz * stride[2];
          for (int t = 0; t < taps; t++) {
            const int64_t px = at[0][t][i];
            to[t] = (px | py | pz) < 0 ? S(0) : pixel(image, row + px * stride[0]);
          }
        }
    return view();
  }
};

// Whether all of these are finite.
template <class S>
inline bool are_finite(const typename Wide<S>::Vector& v) {
  const auto wrong = (v - v) != 0;  // a NaN is not equal to anything
  bool any = false;
  for (int i = 0; i < Wide<S>::SIZE; i++) any |= wrong[i] != 0;
  return !any;
}

// Calls work(first lane, points, state) for each vector of a block: INSIDE where all its points are, NOTHING likewise.
template <class S, class Work>
inline ALWAYS void for_vectors(const Block<S>& b, bool readable, const Work& work) {
  constexpr int SIZE = Wide<S>::SIZE;
  for (int g = 0; g < b.n; g += SIZE) {
    int all = INSIDE, any = 0;
    if (!b.inside)
      for (int i = 0; i < SIZE; i++) all &= b.of(g + i), any |= b.of(g + i);
    const State state = all == INSIDE && readable ? INSIDE : b.inside || any ? EDGE : NOTHING;
    work(g, b.n - g < SIZE ? b.n - g : SIZE, state);
  }
}

// Asks for the pixels of the points that come next; neighbours share lines of the cache.
template <class S>
inline void ask_for(const Problem& p, const Block<S>& b, const Source<S>& image) {
  if (!image.pixels) return;
  const int64_t down = p.dims > 1 ? (p.axis[1].taps - 1) * image.stride[1] : 0;
  const S* u = image.pixels;
  for (int64_t c = 0; c < p.channels; c++, u += image.channel_stride)
    for (int i = 0; i < b.n; i += 4)
      if (b.of(i) == INSIDE) {
        __builtin_prefetch(u + b.corner[i]);
        __builtin_prefetch(u + b.corner[i] + down);
      }
}

// Eq. 3 for one channel of one vector of points.
template <int ROWS, class S>
inline ALWAYS typename Wide<S>::Vector sum_of(
    const Problem& p, const Block<S>& b, const Rows<S, false>& rows, const View<S>& view, int g) {
  using W = Wide<S>;
  typename W::Vector sum = {};
  for_chunks<S>(p.axis[0].taps, [&](auto width, int t) ALWAYS {
    Chunks<S, width> chunk;
    for_each<width>([&](auto s) ALWAYS {
      for_rows<ROWS>(rows.count, [&](int k) ALWAYS {
        const S* from = view.pixels + view.offset[k] + t;
        chunk.v[s] += chunk.spread(W::load(rows.weight[k] + g), s) * chunk.load(from, view.corner, s);
      });
    });
    sum += chunk.along(b.axis[0].weight[t] + g);
  });
  return sum;
}

// Eq. 3.
template <class S>
void forward_planar(const Problem& p, const Part& part, const Source<S>& image, const Sink& sink) {
  using W = Wide<S>;
  Rows<S, false> rows(p, image.stride);
  Patch<S> patch(p, rows.count, 1);
  Brought<S> inside;
  alignas(64) S rest[LANES];  // of the weights of each point, which `fill` gets
  const auto next = [&](const Block<S>& b) { ask_for(p, b, image); };
  const auto work = [&](auto constant, const Block<S>& b, int64_t point) {
    constexpr int ROWS = decltype(constant)::value;
    const bool brought = inside.template of<false>(p, b, image);
    const Block<S>& met = brought ? inside.in : b;
    rows.of(p, met);
    const bool filled = fills(p, b), rests = p.fill && (filled || b.any_dead);
    if (rests)
      for (int i = 0; i < b.lanes; i++)
        rest[i] = b.any_dead && b.dead[i] ? S(p.total())
                  : filled                ? Share<S>::template of<false>(p, b, i).rest(p)
                                          : S(0);
    if (!brought && !(b.inside && image.pixels)) patch.find(p, b);
    for (int64_t c = 0; c < p.channels; c++)  // one plane after the other: of many at once memory knows no neighbours
      for_vectors(b, image.pixels, [&](int g, int n, State state) ALWAYS {
        typename W::Vector sum = {};
        if (state == INSIDE || (state == EDGE && brought && image.pixels))
          sum = sum_of<ROWS>(p, met, rows, {image.pixels + c * image.channel_stride, met.corner + g, rows.offset}, g);
        if (state == EDGE && !(brought && image.pixels && are_finite<S>(sum))) {
          if (brought) patch.find(p, inside);
          sum = sum_of<0>(p, met, rows, patch.fill(p, g, image, c, 0), g);
        }
        if (rests) sum += S(p.fill[c]) * W::load(rest + g);
        store<S>(sink, part.image, c, point + g, sum, n);
      });
  };
  with_rows(rows.count, [&](auto constant) {
    for_blocks<false, S>(p, part, image, next, [&](const Block<S>& b, const Block<S>&, int64_t, int64_t, int64_t point) {
      work(constant, b, point);
    });
  });
}

// Eq. 7 for one vector of points: Σ over channels of gradient · pixels, with the slope on each axis. `grad`: of the first
// channel, `step` to the next one.
template <int ROWS, bool ONE, class S>
inline ALWAYS void add_slopes(
    const Problem& p, const Block<S>& b, const Rows<S, true>& rows, const View<S>& view, int64_t channels,
    int64_t channel_stride, int g, const S* grad, int64_t step, typename Wide<S>::Vector* total) {
  using W = Wide<S>;
  const int dims = p.dims;
  typename W::Vector found[3] = {};
  for_chunks<S>(p.axis[0].taps, [&](auto width, int t) ALWAYS {
    using C = Chunks<S, width>;
    C along_x, along_y, along_z;
    for_each<width>([&](auto s) ALWAYS {
      for_rows<ROWS>(rows.count, [&](int k) ALWAYS {
        const S* from = view.pixels + view.offset[k] + t;
        typename W::Vector pixels = {};
        if (ONE)
          pixels = C::load(from, view.corner, s);
        else
          for (int64_t c = 0; c < channels; c++, from += channel_stride)
            pixels += C::spread(W::load(grad + c * step), s) * C::load(from, view.corner, s);
        along_x.v[s] += C::spread(W::load(rows.weight[k] + g), s) * pixels;
        if (dims > 1) along_y.v[s] += C::spread(W::load(rows.slope[0][k] + g), s) * pixels;
        if (dims > 2) along_z.v[s] += C::spread(W::load(rows.slope[1][k] + g), s) * pixels;
      });
    });
    found[0] += along_x.along(b.axis[0].slope[t] + g);
    if (dims > 1) found[1] += along_y.along(b.axis[0].weight[t] + g);
    if (dims > 2) found[2] += along_z.along(b.axis[0].weight[t] + g);
  });
  for (int a = 0; a < dims; a++) total[a] += ONE ? found[a] * W::load(grad) : found[a];
}

// Eq. 7: the gradient of each pixel coordinate of one vector of points. `inside`: the block brought in, or null.
template <int ROWS, class S>
inline ALWAYS void slopes_of(
    const Problem& p, const Block<S>& b, const Brought<S>* inside, const Rows<S, true>& rows, const Source<S>& image,
    Patch<S>& patch, State state, int g, const S* grad, int64_t step, Slopes<S>& slopes) {
  using W = Wide<S>;
  typename W::Vector total[3] = {};
  const Block<S>& met = inside ? inside->in : b;
  if (state == INSIDE || (state == EDGE && inside)) {
    const View<S> view{image.pixels, met.corner + g, rows.offset};
    if (p.channels == 1)
      add_slopes<ROWS, true>(p, met, rows, view, 1, 0, g, grad, step, total);
    else
      add_slopes<ROWS, false>(p, met, rows, view, p.channels, image.channel_stride, g, grad, step, total);
  }
  if (state == EDGE && !(inside && are_finite<S>(total[0] + total[1] + total[2]))) {
    if (inside) patch.find(p, *inside);
    for (auto& each : total) each = typename W::Vector{};
    for (int64_t c = 0; c < p.channels; c++) patch.fill(p, g, image, c, c);
    if (p.channels == 1)
      add_slopes<0, true>(p, met, rows, patch.view(), 1, 0, g, grad, step, total);
    else
      add_slopes<0, false>(p, met, rows, patch.view(), p.channels, patch.channel_stride(p), g, grad, step, total);
  }
  for (int a = 0; a < p.dims; a++) {
    W::store(slopes.slope[a] + g, total[a]);
    for (int i = 0; state == EDGE && i < W::SIZE; i++)
      if (b.of(g + i) == NOTHING) slopes.slope[a][g + i] = 0;  // whatever gradient came in
  }
}

// Eq. 6, for one point: its values, weighted, are added to the pixels around it. WIDTH taps from the first one along x.
template <int WIDTH, class S>
inline void push_chunk(
    const S* weight_x, const Rows<S, true>& rows, int i, const S* value, int64_t step, int64_t channels, S* to,
    int64_t channel_stride) {
  typedef S Few __attribute__((vector_size(WIDTH * sizeof(S)), aligned(sizeof(S))));
  const Few weights = *reinterpret_cast<const Few*>(weight_x);
  for (int64_t c = 0; c < channels; c++, to += channel_stride) {
    const Few push = value[c * step] * weights;
    for (int k = 0; k < rows.count; k++) {
      Few* there = reinterpret_cast<Few*>(to + rows.offset[k]);
      *there = *there + rows.weight[k][i] * push;
    }
  }
}

// Eq. 6, over the points of a block.
template <class S>
inline void push_block(
    const Problem& p, const Block<S>& b, Rows<S, true>& rows, const S* values, int64_t step, const Target<S>& target) {
  const int taps = p.axis[0].taps;
  Index corner[LANES];
  S weights[LANES * MAX_TAPS];  // along x, of each point
  find_corners(p, b, target.stride, target.origin, corner);
  for (int t = 0; t < taps; t++)
    for (int i = 0; i < b.lanes; i++) weights[i * taps + t] = b.axis[0].weight[t][i];
  for (int k = 0; k < LANES; k++) {
    static_assert(LANES == 64, "the order below");
    const int i = k % 8 * 8 + k / 8;  // not the next one: it would wait for what this one stores
    if (i >= b.n || b.of(i) == NOTHING) continue;
    const S* x = weights + i * taps;
    if (b.of(i) == INSIDE) {
      S* to = target.pixels + corner[i];
      for_chunks<S>(taps, [&](auto width, int t) {
        push_chunk<width>(x + t, rows, i, values + i, step, p.channels, to + t, target.channel_stride);
      });
      continue;
    }
    const Edge edge(p, b, i);
    const int ny = p.taps(1);
    for (int r = 0; r < rows.count; r++) {
      const int64_t py = p.dims > 1 ? edge.at[1][r % ny] : 0, pz = p.dims > 2 ? edge.at[2][r / ny] : 0;
      if ((py | pz) < 0) continue;
      S* to = target.pixels + py * target.stride[1] + pz * target.stride[2] - target.origin;
      for (int64_t c = 0; c < p.channels; c++, to += target.channel_stride) {
        const S w = values[c * step + i] * rows.weight[r][i];
        for (int t = 0; t < taps; t++)
          if (edge.at[0][t] >= 0) to[edge.at[0][t]] += w * x[t];
      }
    }
  }
}

// Eq. 7 where coordinates, matrix or table are wanted, eq. 6 where the image is.
template <bool TABLE, class S>
void backward_planar(const Problem& p, const Part& part, const Source<S>& image, const Gradients<S>& g) {
  const bool wants_where = g.coords || g.matrix || TABLE, wants_image = g.image.pixels;
  Rows<S, true> rows(p, image.stride), spread(p, g.image.stride);
  Patch<S> patch(p, rows.count, p.channels);
  Brought<S> inside;
  Slopes<S> slopes;
  std::vector<Met<S>> met(TABLE ? 1 : 0);
  std::vector<S> last;  // the gradient of a block that ends before its last vector does
  const auto next = [&](const Block<S>& b) {
    if (wants_where) ask_for(p, b, image);
  };
  for_blocks<true, S>(p, part, image, next, [&](const Block<S>& b, const Block<S>& own, int64_t row, int64_t x0, int64_t point) {
    const S* grads = g.output + p.out_offset(part.image, 0, point);
    if (wants_where) {
      const bool brought = inside.template of<true>(p, b, image);
      rows.of(p, brought ? inside.in : b);
      clear<TABLE>(p, b, slopes);
      const S* grad = grads;
      int64_t step = p.points;
      if (b.n % Wide<S>::SIZE) {
        last.assign(p.channels * LANES, S(0));
        step = LANES;
        for (int64_t c = 0; c < p.channels; c++) std::memcpy(&last[c * step], grads + c * p.points, b.n * sizeof(S));
        grad = last.data();
      }
      if (!brought && !b.inside) patch.find(p, b);
      with_rows(rows.count, [&](auto constant) {
        for_vectors(b, true, [&](int k, int, State state) ALWAYS {
          slopes_of<decltype(constant)::value>(
              p, b, brought ? &inside : nullptr, rows, image, patch, state, k, grad + k, step, slopes);
        });
      });
      for (int64_t c = 0; p.fill && c < p.channels; c++)
        for (int i = 0; i < b.n; i++) slopes.fill[i] += grads[c * p.points + i] * S(p.fill[c]);
      if (TABLE)
        for (int i = 0; i < b.n; i++) {
          met[0].template find<false, true>(p, b, i, image, nullptr);
          meet_table(p, b, i, met[0], image, grads + i, p.points, slopes);
        }
      give<TABLE>(p, b, slopes, g, part, row, x0, point);
    }
    if (wants_image) {
      spread.of(p, own);
      push_block(p, own, spread, grads, p.points, g.image);
    }
  });
}

#endif
