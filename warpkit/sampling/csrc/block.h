// The points that are worked on together: their taps on every axis, and where these lie.
// Included once for each instruction set: loops.inl undoes the guard.
#ifndef WARPKIT_BLOCK
#define WARPKIT_BLOCK

#include "taps.h"

enum State : int { NOTHING = 0, EDGE = 1, INSIDE = 3 };  // no tap is read; the boundary has a say; all are neighbours

// All that depends on the coordinates and not on the channels.
template <class S>
struct Block {
  Taps<S> axis[3];
  RowMap map;
  double divisor[LANES];
  int dead[LANES];
  bool any_dead;
  bool inside;          // every point is
  int state[LANES];     // of each point
  Index corner[LANES];  // INSIDE: elements from the image's first one to the first tap
  int n, lanes;         // points, and these rounded up to whole vectors
};

// Where the taps of one point lie that is not INSIDE: pixel indices, −1 for what is not read.
struct Edge {
  Index at[3][MAX_TAPS];

  Edge() = default;

  template <class S>
  Edge(const Problem& p, const Block<S>& b, int i) {
    for (int a = 0; a < p.dims; a++) {
      const Axis& axis = p.axis[a];
      for (int t = 0; t < axis.taps; t++) {
        const int64_t j = int64_t(b.axis[a].first[i]) + t;
        const bool outside = j < 0 || j >= axis.size;
        at[a][t] = (outside && axis.padding == ZEROS) || (b.any_dead && b.dead[i])
                       ? Index(-1)
                       : Index(place(j, axis.size, axis.padding, p.align_corners));
      }
    }
  }
};

template <class S>
inline void find_states(const Problem& p, Block<S>& b) {
  b.inside = !b.any_dead;
  for (int a = 0; a < p.dims; a++) b.inside = b.inside && b.axis[a].inside;
  const int lanes = b.lanes;
  int state[LANES];
  for (int i = 0; i < LANES; i++) state[i] = INSIDE;
  if (!b.inside)
    for (int a = 0; a < p.dims; a++) {
      const Index size = Index(p.axis[a].size), taps = Index(p.axis[a].taps), *first = b.axis[a].first;
      const int outside = p.axis[a].padding == ZEROS ? NOTHING : EDGE;
      for_lanes(lanes, [&](int i) {
        const int met = first[i] > -taps && first[i] < size ? EDGE : outside;
        state[i] &= first[i] >= 0 && first[i] <= size - taps ? INSIDE : met;
      });
    }
  if (b.any_dead)
    for (int i = 0; i < lanes; i++) state[i] = b.dead[i] ? NOTHING : state[i];
  std::memcpy(b.state, state, sizeof state);
}

// Elements from pixel 0 to the first tap of each point; without a meaning where it is not INSIDE.
template <class S>
inline void find_corners(const Problem& p, const Block<S>& b, const int64_t* stride, int64_t origin, Index* corner) {
  using Bits = typename std::make_unsigned<Index>::type;  // may wrap around where a point lies far outside
  const int lanes = b.lanes;
  Bits sum[LANES];
  for_lanes(lanes, [&](int i) { sum[i] = -Bits(origin); });
  for (int a = 0; a < p.dims; a++) {
    const Bits step = Bits(stride[a]);
    const Index* first = b.axis[a].first;
    for_lanes(lanes, [&](int i) { sum[i] += Bits(first[i]) * step; });
  }
  std::memcpy(corner, sum, sizeof sum);
}

template <class X>
inline void repeat_last(int dims, int n, int lanes, Coordinates<X>& c) {
  for (int i = n; i < lanes; i++) {
    for (int a = 0; a < dims; a++) c.x[a][i] = c.x[a][n - 1];
    if (c.any_dead) c.dead[i] = c.dead[n - 1];
  }
}

// Calls work(coordinates) for the points x0 … x0 + n of a row, in the type they are computed in.
template <class Work>
inline void with_coordinates(
    const Problem& p, const RowMap& map, int64_t image, int64_t row, int64_t x0, int n, const Work& work) {
  if (p.where == POINTS && !p.wide_points) {
    Coordinates<float> c;
    from_points(p, image, row * p.length + x0, n, c);
    return work(c);
  }
  Coordinates<double> c;
  if (p.where == POINTS)
    from_points(p, image, row * p.length + x0, n, c);
  else if (p.where == SHIFTS)
    p.wide_points ? from_shifts<double>(p, image, row, x0, n, c) : from_shifts<float>(p, image, row, x0, n, c);
  else
    from_matrix(p, map, x0, n, c);
  work(c);
}

// Calls work(row, first column, number of points) for each block of a part.
template <class Work>
inline void for_runs(const Problem& p, const Part& part, const Work& work) {
  for (int64_t row = part.top; row < part.bottom; row++) {
    const int64_t begin = row * p.length, end = begin + part.right < p.points ? part.right : p.points - begin;
    for (int64_t x0 = part.left; x0 < end; x0 += LANES) work(row, x0, int(end - x0 < LANES ? end - x0 : LANES));
  }
}

inline void strides(const Problem& p, int64_t* stride) {
  for (int a = 0; a < 3; a++) stride[a] = a < p.dims ? p.axis[a].stride : 0;
}

template <class S>
inline void complete(const Problem& p, const int64_t* stride, Block<S>& b) {
  find_states(p, b);
  find_corners(p, b, stride, 0, b.corner);
}

// Calls work(block, own, row, first column, point) for each block of a part. With slopes, `block` has the points that lie
// up to ε to the left of a joint in the cell on its right, whose slope they take; `own` has each point in its own cell,
// whose weights are those of `forward`. Nearly always they are the same.
template <bool SLOPES, class S, class Work>
inline void for_blocks(const Problem& p, const Part& part, const Work& work) {
  const OutputMap map(p, part.image);
  int64_t stride[3];
  strides(p, stride);
  bool straight = p.where == AFFINE && sizeof(S) == 4 && sizeof(Index) == 4;
  for (int a = 0; a < p.dims; a++) straight = straight && p.axis[a].pieces == 1 && p.axis[a].padding != NONE;
  Block<S> b, own;
  for_runs(p, part, [&](int64_t row, int64_t x0, int n) {
    b.n = n;
    b.lanes = padded(n);
    if (p.where >= AFFINE) b.map = RowMap(p, map, row);
    bool located = straight, moved = false;
    b.any_dead = false;
    for (int a = 0; located && a < p.dims; a++) located = locate_line<SLOPES>(p, a, b.map, x0, n, b.lanes, b.axis[a]);
    if (!located)
      with_coordinates(p, b.map, part.image, row, x0, n, [&](auto& c) {
        repeat_last(p.dims, n, b.lanes, c);
        b.any_dead = c.any_dead;
        if (c.any_dead)
          for (int i = 0; i < b.lanes; i++) b.dead[i] = c.dead[i];
        if (SLOPES && p.where == PROJECTIVE)
          for (int i = 0; i < n; i++) b.divisor[i] = c.divisor[i];
        for (int a = 0; a < p.dims; a++) {
          locate<SLOPES>(p, a, c, b.lanes, p.axis[a].jumps || (SLOPES && p.slopes), b.axis[a]);
          moved = moved || b.axis[a].moved;
        }
        if (!moved) return;
        own.n = b.n;
        own.lanes = b.lanes;
        own.any_dead = b.any_dead;
        if (b.any_dead) std::memcpy(own.dead, b.dead, sizeof b.dead);
        for (int a = 0; a < p.dims; a++) locate<false>(p, a, c, b.lanes, p.axis[a].jumps, own.axis[a]);
        complete(p, stride, own);
      });
    complete(p, stride, b);
    work(b, moved ? own : b, row, x0, row * p.length + x0);
  });
}

// As `locate` finds them, and one pixel more: `locate_line` rounds in its own way.
inline Reach reach(const Problem& p, const Part& part) {
  const OutputMap map(p, part.image);
  bool ends_only = p.where == AFFINE;  // all else lies between the first row and the last, in one slice
  if (ends_only && p.dims == 3) ends_only = part.top / p.out_size[1] == (part.bottom - 1) / p.out_size[1];
  Reach r;
  for (;;) {
    bool near = true;
    for (int a = 0; a < 3; a++) {
      r.low[a] = std::numeric_limits<int64_t>::max();
      r.high[a] = std::numeric_limits<int64_t>::min();
    }
    for_runs(p, part, [&](int64_t row, int64_t x0, int n) {
      if (ends_only && row != part.top && row != part.bottom - 1) return;
      with_coordinates(p, p.where < AFFINE ? RowMap() : RowMap(p, map, row), part.image, row, x0, n, [&](auto& c) {
        using X = typename std::decay<decltype(c.x[0][0])>::type;
        near = near && !c.any_dead;
        for (int a = 0; a < p.dims; a++) {
          X low = c.x[a][0], high = low;
          for (int i = 0; i < n; i++) {
            low = c.x[a][i] < low ? c.x[a][i] : low;
            high = c.x[a][i] > high ? c.x[a][i] : high;
          }
          near = near && std::fabs(low) < X(limit_of(p.axis[a])) && std::fabs(high) < X(limit_of(p.axis[a]));
          const int64_t first = first_tap(p, a, low, false) - 1, last = first_tap(p, a, high, true) + p.axis[a].taps;
          r.low[a] = first < r.low[a] ? first : r.low[a];
          r.high[a] = last > r.high[a] ? last : r.high[a];
        }
      });
    });
    for (int a = 0; a < 3; a++)
      if (r.low[a] > r.high[a]) r.low[a] = r.high[a] = 0;  // no such axis, or no point
    if (near || !ends_only) return r;
    ends_only = false;  // an end beyond all limits says nothing of what lies between
  }
}

// What "zeros" leaves of the weights of one point: for each axis the weights of the taps that are read, and their
// slopes, added up. Exactly their total and 0 where all are read and sum to one.
template <class S>
struct Share {
  S weight[3], slope[3];
  bool whole[3];

  template <bool SLOPES>
  static Share of(const Problem& p, const Block<S>& b, int i) {
    Share share;
    for (int a = 0; a < p.dims; a++) {
      S weight = 0, slope = 0;
      bool whole = p.axis[a].unity;
      for (int t = 0; t < p.axis[a].taps; t++) {
        const bool in = is_read(p.axis[a], int64_t(b.axis[a].first[i]) + t);
        weight += in ? b.axis[a].weight[t][i] : S(0);
        if (SLOPES) slope += in ? b.axis[a].slope[t][i] : S(0);
        whole = whole && in;
      }
      share.weight[a] = whole ? S(p.axis[a].order > 0 ? 0 : 1) : weight;
      share.slope[a] = whole ? S(0) : slope;
      share.whole[a] = whole;
    }
    return share;
  }
  S product(int dims, int without = -1) const {
    S all = 1;
    for (int a = 0; a < dims; a++) all *= a == without ? S(1) : weight[a];
    return all;
  }
  // What is filled in.
  S rest(const Problem& p) const { return S(p.total()) - product(p.dims); }
};

// Whether something is filled in where taps are not read; a dead point always is.
template <class S>
inline bool fills(const Problem& p, const Block<S>& b) {
  if (!p.fill) return false;
  bool unity = true, zeros = false;
  for (int a = 0; a < p.dims; a++) {
    unity = unity && p.axis[a].unity;
    zeros = zeros || p.axis[a].padding == ZEROS;
  }
  return zeros && !(b.inside && unity);
}

#endif
