// Images in planes. The taps of a point along x are neighbours in memory and are handled as one small vector; what can
// be done for all points at once (coordinates, weights, the sum along x) has a lane for each point.
// Included once for each instruction set: loops.inl undoes the guard.
#ifndef WARPKIT_PLANAR
#define WARPKIT_PLANAR

#include "block.h"
#include "gradients.h"

// The taps along x of one point. TAPS 0: any number, known only now.
template <class S, int TAPS>
struct Row {
  static constexpr int WIDTH = TAPS == 3 ? 4 : TAPS > 4 ? 8 : TAPS;  // in memory
  static constexpr int HELD = TAPS == 2 ? 4 : WIDTH;                 // two numbers are no vector that processors know
  static constexpr int HALF = TAPS == 1 ? 1 : TAPS < 4 ? 2 : 4;      // is loaded at once, and then the rest
  typedef S Vector __attribute__((vector_size(HELD * sizeof(S))));
  typedef S Head __attribute__((vector_size(HALF * sizeof(S)), aligned(sizeof(S))));
  typedef S Pair __attribute__((vector_size(2 * sizeof(S)), aligned(sizeof(S))));
  Vector v = {};

  static Row load(const S* from, int) {
    Row row;
    const Head head = *reinterpret_cast<const Head*>(from);
    if constexpr (TAPS == 2 || TAPS == 3) row.v = __builtin_shufflevector(head, Head{}, 0, 1, 2, 3);
    if constexpr (TAPS == 3) row.v[2] = from[2];
    if constexpr (TAPS == HALF && TAPS == HELD) row.v = head;
    if constexpr (TAPS == 6) {
      const Pair pair = *reinterpret_cast<const Pair*>(from + 4);
      const Head tail = __builtin_shufflevector(pair, Pair{}, 0, 1, 2, 3);
      row.v = __builtin_shufflevector(head, tail, 0, 1, 2, 3, 4, 5, 6, 7);
    }
    return row;
  }
  void store(S* to, int) const {
    if constexpr (TAPS == 2 || TAPS == 3) *reinterpret_cast<Head*>(to) = __builtin_shufflevector(v, v, 0, 1);
    if constexpr (TAPS == 3) to[2] = v[2];
    if constexpr (TAPS == HALF && TAPS == HELD) *reinterpret_cast<Head*>(to) = v;
    if constexpr (TAPS == 6) {
      *reinterpret_cast<Head*>(to) = __builtin_shufflevector(v, v, 0, 1, 2, 3);
      *reinterpret_cast<Pair*>(to + 4) = __builtin_shufflevector(v, v, 4, 5);
    }
  }
  void add(S weight, const Row& row, int) { v += weight * row.v; }
  S dot(const Row& row, int) const {
    S sum = 0;
    for (int t = 0; t < TAPS; t++) sum += v[t] * row.v[t];
    return sum;
  }
  void set(int t, S value) { v[t] = value; }
  S get(int t) const { return v[t]; }
};

template <class S>
struct Row<S, 0> {
  static constexpr int WIDTH = MAX_TAPS;
  S v[WIDTH] = {};

  static Row load(const S* from, int taps) {
    Row row;
    std::memcpy(row.v, from, taps * sizeof(S));
    return row;
  }
  void store(S* to, int taps) const { std::memcpy(to, v, taps * sizeof(S)); }
  void add(S weight, const Row& row, int taps) {
    for (int t = 0; t < taps; t++) v[t] += weight * row.v[t];
  }
  S dot(const Row& row, int taps) const {
    S sum = 0;
    for (int t = 0; t < taps; t++) sum += v[t] * row.v[t];
    return sum;
  }
  void set(int t, S value) { v[t] = value; }
  S get(int t) const { return v[t]; }
};

// How many taps there are on each axis, and how many channels; constants where TAPS, DIMS and ONE (channel) say so.
template <int TAPS, int DIMS, bool ONE>
struct Counts {
  const Problem& p;

  int dims() const { return DIMS ? DIMS : p.dims; }
  int x() const { return TAPS ? TAPS : p.axis[0].taps; }
  int y() const { return dims() < 2 ? 1 : TAPS ? TAPS : p.axis[1].taps; }
  int z() const { return dims() < 3 ? 1 : TAPS ? TAPS : p.axis[2].taps; }
  int64_t channels() const { return ONE ? 1 : p.channels; }
};

// Calls work(y, z, element of the first tap) for each run of taps along x of an INSIDE point.
template <class Count, class Work>
inline void for_rows(const Count& count, const int64_t* stride, int64_t corner, const Work& work) {
  for (int z = 0; z < count.z(); z++)
    for (int y = 0; y < count.y(); y++) work(y, z, corner + z * stride[2] + y * stride[1]);
}

// The same for the runs that are read of an EDGE point; the element is that of x = 0.
template <class Count, class Work>
inline void for_rows(const Problem& p, const Count& count, const int64_t* stride, const Edge& edge, const Work& work) {
  for (int z = 0; z < count.z(); z++) {
    if (p.dims > 2 && edge.at[2][z] < 0) continue;
    for (int y = 0; y < count.y(); y++) {
      if (p.dims > 1 && edge.at[1][y] < 0) continue;
      work(y, z, (p.dims > 2 ? edge.at[2][z] * stride[2] : 0) + (p.dims > 1 ? edge.at[1][y] * stride[1] : 0));
    }
  }
}

template <class R, class S>
inline R load_edge(const S* from, const Edge& edge, int taps) {
  R row;
  for (int t = 0; t < taps; t++) row.set(t, edge.at[0][t] < 0 ? S(0) : from[edge.at[0][t]]);
  return row;
}

// The weights of all axes but x, and their slopes.
template <int DIMS, class S>
struct Outer {
  const Taps<S>*y, *z;

  Outer(const Problem& p, const Block<S>& b)
      : y((DIMS ? DIMS : p.dims) > 1 ? &b.axis[1] : nullptr), z((DIMS ? DIMS : p.dims) > 2 ? &b.axis[2] : nullptr) {}

  S weight(int ty, int tz, int i) const {
    if (DIMS == 2) return y->weight[ty][i];
    return (y ? y->weight[ty][i] : S(1)) * (z ? z->weight[tz][i] : S(1));
  }
  S slope_y(int ty, int tz, int i) const {
    if (DIMS == 2) return y->slope[ty][i];
    return (y ? y->slope[ty][i] : S(0)) * (z ? z->weight[tz][i] : S(1));
  }
  S slope_z(int ty, int tz, int i) const { return z ? y->weight[ty][i] * z->slope[tz][i] : S(0); }
};

// Lane by lane: Σ over t of weight[t] · row[t].
template <class R, class S>
inline void along(const S (*weight)[LANES], const S* rows, int taps, int lanes, S* sum) {
  for_lanes(lanes, [&](int i) {
    S total = weight[0][i] * rows[i * R::WIDTH];
    for (int t = 1; t < taps; t++) total += weight[t][i] * rows[i * R::WIDTH + t];
    sum[i] = total;
  });
}

// Asks for the numbers of the next block: to be written to (1), or only read (0).
template <int WRITE, class S>
inline void ask_for(const S* from) {
  for (int k = 0; k < LANES; k += 64 / int(sizeof(S))) __builtin_prefetch(from + k, WRITE);
}

constexpr int CHANNELS = 4;  // that are gathered together

// Eq. 3.
template <int TAPS, int DIMS, bool ONE, class S>
void forward_planar(const Problem& p, const Part& part, const S* image, S* output) {
  using R = Row<S, TAPS>;
  const Counts<TAPS, DIMS, ONE> count{p};
  const S* u = image + part.image * p.image_stride;
  int64_t stride[3];
  strides(p, stride);
  S rows[ONE ? 1 : CHANNELS][LANES * R::WIDTH] = {}, sum[LANES];
  for_blocks<false, S>(p, part, [&](const Block<S>& b, const Block<S>&, int64_t, int64_t, int64_t point) {
    const Outer<DIMS, S> outer(p, b);
    const bool filled = fills(p, b);
    for (int64_t c = 0; c < count.channels(); c++) ask_for<1>(output + p.out_offset(part.image, c, point) + LANES);
    for (int64_t c0 = 0; c0 < count.channels(); c0 += CHANNELS) {
      const int channels = ONE ? 1 : int(p.channels - c0 < CHANNELS ? p.channels - c0 : CHANNELS);
      for (int i = 0; i < b.n; i++) {
        const S* plane = u + c0 * p.channel_stride;
        if (b.state[i] == INSIDE) {
          for (int c = 0; c < channels; c++, plane += p.channel_stride) {
            R row;
            for_rows(count, stride, b.corner[i], [&](int y, int z, int64_t at) {
              row.add(outer.weight(y, z, i), R::load(plane + at, count.x()), count.x());
            });
            row.store(rows[c] + i * R::WIDTH, count.x());
          }
        } else {
          const Edge edge = b.state[i] == EDGE ? Edge(p, b, i) : Edge();
          for (int c = 0; c < channels; c++, plane += p.channel_stride) {
            R row;
            if (b.state[i] == EDGE)
              for_rows(p, count, stride, edge, [&](int y, int z, int64_t at) {
                row.add(outer.weight(y, z, i), load_edge<R>(plane + at, edge, count.x()), count.x());
              });
            row.store(rows[c] + i * R::WIDTH, count.x());
          }
        }
      }
      for (int c = 0; c < channels; c++) {
        along<R>(b.axis[0].weight, rows[c], count.x(), b.lanes, sum);
        if (p.fill) {
          const S fill = S(p.fill[c0 + c]);
          for (int i = 0; i < b.n; i++) {
            if (filled) sum[i] += fill * Share<S>::template of<false>(p, b, i).rest(p);
            if (b.any_dead && b.dead[i]) sum[i] = fill * S(p.total());
          }
        }
        std::memcpy(output + p.out_offset(part.image, c0 + c, point), sum, b.n * sizeof(S));
      }
    }
  });
}

// Eq. 7 where coordinates, matrix or table are wanted, eq. 6 where the image is.
template <int TAPS, int DIMS, bool ONE, bool TABLE, class S>
void backward_planar(const Problem& p, const Part& part, const S* image, const Gradients<S>& g) {
  using R = Row<S, TAPS>;
  const Counts<TAPS, DIMS, ONE> count{p};
  const S* u = image + part.image * p.image_stride;
  const bool wants_where = g.coords || g.matrix || TABLE, wants_image = g.image.pixels;
  int64_t stride[3];
  strides(p, stride);
  S weights[LANES * R::WIDTH] = {};     // along x, of each point
  S by_axis[3][LANES * R::WIDTH] = {};  // Σ of gradient · pixels · the other axes' weights, with the slope on one axis
  Index corner[LANES];
  Slopes<S> slopes;
  for_blocks<true, S>(p, part, [&](const Block<S>& b, const Block<S>& own, int64_t row, int64_t x0, int64_t point) {
    const Outer<DIMS, S> outer(p, b);
    const S* grads = g.output + p.out_offset(part.image, 0, point);
    for (int64_t c = 0; c < count.channels(); c++) ask_for<0>(grads + c * p.points + LANES);
    if (wants_image || TABLE)
      for (int t = 0; t < count.x(); t++)
        for (int i = 0; i < b.lanes; i++) weights[i * R::WIDTH + t] = b.axis[0].weight[t][i];
    if (wants_where) clear<TABLE>(p, b, slopes);
    for (int i = 0; wants_where && i < b.n; i++) {  // eq. 7
      const S* grad = grads + i;
      const R weight = TABLE ? R::load(weights + i * R::WIDTH, count.x()) : R();
      R sum[3];
      const auto meet = [&](int y, int z, const R& pixels) {
        sum[0].add(outer.weight(y, z, i), pixels, count.x());
        if (count.dims() > 1) sum[1].add(outer.slope_y(y, z, i), pixels, count.x());
        if (count.dims() > 2) sum[2].add(outer.slope_z(y, z, i), pixels, count.x());
        if (TABLE) slopes.meet_outer(p, b, i, y, z, pixels.dot(weight, count.x()));
      };
      if (b.state[i] == INSIDE)
        for_rows(count, stride, b.corner[i], [&](int y, int z, int64_t at) {
          R pixels;
          for (int64_t c = 0; c < count.channels(); c++)
            pixels.add(grad[c * p.points], R::load(u + c * p.channel_stride + at, count.x()), count.x());
          meet(y, z, pixels);
        });
      else if (b.state[i] == EDGE) {
        const Edge edge(p, b, i);
        for_rows(p, count, stride, edge, [&](int y, int z, int64_t at) {
          R pixels;
          for (int64_t c = 0; c < count.channels(); c++)
            pixels.add(grad[c * p.points], load_edge<R>(u + c * p.channel_stride + at, edge, count.x()), count.x());
          meet(y, z, pixels);
        });
      }
      for (int a = 0; a < count.dims(); a++) sum[a].store(by_axis[a] + i * R::WIDTH, count.x());
      for (int64_t c = 0; p.fill && c < count.channels(); c++) slopes.fill[i] += grad[c * p.points] * S(p.fill[c]);
    }
    const Outer<DIMS, S> beside(p, own);
    if (wants_image) find_corners(p, own, g.image.stride, g.image.origin, corner);
    if (wants_image && &own != &b)
      for (int t = 0; t < count.x(); t++)
        for (int i = 0; i < b.lanes; i++) weights[i * R::WIDTH + t] = own.axis[0].weight[t][i];
    for (int k = 0; wants_image && k < LANES; k++) {  // eq. 6
      static_assert(LANES == 64, "the order below");
      const int i = k % 8 * 8 + k / 8;  // not the next one: it would wait for what this one stores
      if (i >= own.n || own.state[i] == NOTHING) continue;
      const R weight = R::load(weights + i * R::WIDTH, count.x());
      if (own.state[i] == INSIDE) {
        S* target = g.image.pixels;
        for (int64_t c = 0; c < count.channels(); c++, target += g.image.channel_stride) {
          R push;
          push.add(grads[c * p.points + i], weight, count.x());
          for_rows(count, g.image.stride, corner[i], [&](int y, int z, int64_t at) {
            R there = R::load(target + at, count.x());
            there.add(beside.weight(y, z, i), push, count.x());
            there.store(target + at, count.x());
          });
        }
      } else {
        const Edge edge(p, own, i);
        for_rows(p, count, g.image.stride, edge, [&](int y, int z, int64_t at) {
          S* target = g.image.pixels + at - g.image.origin;
          for (int64_t c = 0; c < count.channels(); c++, target += g.image.channel_stride) {
            const S w = grads[c * p.points + i] * beside.weight(y, z, i);
            for (int t = 0; t < count.x(); t++)
              if (edge.at[0][t] >= 0) target[edge.at[0][t]] += w * weight.get(t);
          }
        });
      }
    }
    if (!wants_where) return;
    for (int a = 0; a < p.dims; a++)
      along<R>(a ? b.axis[0].weight : b.axis[0].slope, by_axis[a], count.x(), b.lanes, slopes.slope[a]);
    if (TABLE)
      for (int t = 0; t < count.x(); t++)
        for (int i = 0; i < b.lanes; i++) slopes.tap[0][t][i] = by_axis[0][i * R::WIDTH + t];
    give<TABLE>(p, b, slopes, g, part, row, x0, point);
  });
}

#endif
