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
  alignas(64) double divisor[LANES];
  alignas(64) int dead[LANES];
  bool any_dead;
  bool inside;                      // every point is
  alignas(64) int state[LANES];     // of each point, where not every one is INSIDE
  alignas(64) Index corner[LANES];  // INSIDE: elements from the image's first one to the first tap
  int n, lanes;                     // points, and these rounded up to whole vectors

  State of(int i) const { return inside ? INSIDE : State(state[i]); }
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
  if (b.inside) return;  // and `state` says nothing
  const int lanes = b.lanes;
  alignas(64) int state[LANES];
  for (int i = 0; i < LANES; i++) state[i] = INSIDE;
  for (int a = 0; a < p.dims; a++) {
    const Index last = Index(p.axis[a].size - p.axis[a].taps), taps = Index(p.axis[a].taps), *first = b.axis[a].first;
    const int outside = p.axis[a].padding == ZEROS ? NOTHING : EDGE;
    for (int i = 0; i < lanes; i++) {
      const Index j = first[i];
      const int met = ((j + taps - 1) | (last + taps - 1 - j)) < 0 ? outside : EDGE;  // no sign bit: a tap is met
      state[i] &= (j | (last - j)) < 0 ? met : INSIDE;
    }
  }
  if (b.any_dead)
    for (int i = 0; i < lanes; i++) state[i] = b.dead[i] ? NOTHING : state[i];
  std::memcpy(b.state, state, sizeof state);
}

// Elements from pixel 0 to the first tap of each point; without a meaning where it is not INSIDE.
template <class S>
inline void find_corners(const Problem& p, const Block<S>& b, const int64_t* stride, int64_t origin, Index* corner) {
  using Bits = typename std::make_unsigned<Index>::type;  // may wrap around where a point lies far outside
  alignas(64) Bits sum[LANES];  // what is the compiler's alone it can keep in vectors
  for (int i = 0; i < LANES; i++) sum[i] = -Bits(origin);
  for (int a = 0; a < p.dims; a++) {
    const Bits step = Bits(stride[a]);
    const Index* first = b.axis[a].first;
    for (int i = 0; i < LANES; i++) sum[i] += Bits(first[i]) * step;
  }
  std::memcpy(corner, sum, sizeof sum);
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
    from_matrix(p, map, x0, c);
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

template <class S>
inline void complete(const Problem& p, const Source<S>& image, Block<S>& b) {
  for (int i = b.n; i < b.lanes; i++) {  // they are read, too: where the last point's pixels are, which a box holds
    for (int a = 0; a < p.dims; a++) b.axis[a].first[i] = b.axis[a].first[b.n - 1];
    if (b.any_dead) b.dead[i] = b.dead[b.n - 1];
  }
  find_states(p, b);
  find_corners(p, b, image.stride, image.origin, b.corner);
}

// A block, and where it lies in the output.
template <class S>
struct Run {
  Block<S> b, own;
  int64_t row, x0;
  bool moved;
};

// Calls work(block, own, row, first column, point) for each block of a part, and before that next(block) for the one
// after it. With slopes, `block` has the points that lie up to ε to the left of a joint in the cell on its right, whose
// slope they take; `own` has each point in its own cell, whose weights are those of `forward`. Nearly always they are the
// same.
template <bool SLOPES, class S, class Next, class Work>
inline void for_blocks(const Problem& p, const Part& part, const Source<S>& image, const Next& next, const Work& work) {
  const OutputMap map(p, part.image);
  bool straight = p.where == AFFINE && sizeof(S) == 4 && sizeof(Index) == 4;
  for (int a = 0; a < p.dims; a++)
    straight = straight && p.axis[a].pieces == 1 && p.axis[a].padding != NONE && !p.axis[a].jumps;
  Run<S> runs[2], *run = runs, *before = nullptr;
  const auto finish = [&](const Run<S>& r) {
    work(r.b, r.moved ? r.own : r.b, r.row, r.x0, r.row * p.length + r.x0);
  };
  for_runs(p, part, [&](int64_t row, int64_t x0, int n) {
    Block<S>&b = run->b, &own = run->own;
    run->row = row;
    run->x0 = x0;
    b.n = n;
    b.lanes = padded(n);
    if (p.where >= AFFINE) b.map = RowMap(p, map, row);
    bool located = straight, moved = false;
    b.any_dead = false;
    for (int a = 0; located && a < p.dims; a++) located = locate_line<SLOPES>(p, a, b.map, x0, b.lanes, b.axis[a]);
    if (!located)
      with_coordinates(p, b.map, part.image, row, x0, n, [&](auto& c) {
        b.any_dead = c.any_dead;
        if (c.any_dead) std::memcpy(b.dead, c.dead, sizeof c.dead);
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
        complete(p, image, own);
      });
    run->moved = moved;
    complete(p, image, b);
    next(b);
    if (before) finish(*before);
    before = run;
    run = run == runs ? runs + 1 : runs;
  });
  if (before) finish(*before);
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
