// The points that are worked on together: their taps on every axis, and what of them lies inside.
// Included by loops.inl.

// The taps of one block: all that depends on the coordinates and not on the channels.
template <class S>
struct Block {
  Taps<S> axis[3];
  RowMap map;
  double divisor[LANES], numerator[3][LANES];
  int dead[LANES];
  bool any_dead, masked;
  bool inside;   // every tap of every point lies inside the image, where neighbours are neighbours
  int n, lanes;  // points, and these rounded up to whole vectors
};

struct Band {  // the slowest indices low … high whose pixels are wanted
  int64_t low, high;
};

template <bool SLOPES, class S, class X>
inline bool prepare(const Problem& p, const Coordinates<X>& c, const Band* band, Block<S>& b) {
  b.any_dead = c.any_dead;
  if (c.any_dead)
    for (int i = 0; i < b.lanes; i++) b.dead[i] = c.dead[i];
  const int slow = p.dims - 1;
  locate<SLOPES>(p, slow, c, b.lanes, b.axis[slow]);
  if (band) {
    Taps<S>& taps = b.axis[slow];
    const Index low = Index(band->low * p.axis[slow].stride), high = Index(band->high * p.axis[slow].stride);
    int some = 0, all = 1;
    for (int t = 0; t < p.axis[slow].taps; t++)
      for (int i = 0; i < b.lanes; i++) {
        const int in = taps.at[t][i] >= low && taps.at[t][i] < high;
        taps.inside[t][i] = in ? taps.inside[t][i] : 0;
        some |= in;
        all &= in;
      }
    if (!some) return false;
    taps.masked |= !all;
  }
  for (int a = 0; a < slow; a++) locate<SLOPES>(p, a, c, b.lanes, b.axis[a]);
  if (c.any_dead) {
    for (int t = 0; t < p.axis[0].taps; t++)
      for (int i = 0; i < b.lanes; i++)
        if (c.dead[i]) b.axis[0].inside[t][i] = 0;
    b.axis[0].masked = true;
  }
  b.masked = false;
  b.inside = !c.any_dead;
  for (int a = 0; a < p.dims; a++) {
    b.masked |= b.axis[a].masked;
    b.inside = b.inside && b.axis[a].all_inside;
  }
  b.inside = b.inside && !b.masked;
  return true;
}

template <class X>
inline void repeat_last(int dims, int n, int lanes, Coordinates<X>& c) {
  for (int i = n; i < lanes; i++) {
    for (int a = 0; a < dims; a++) c.x[a][i] = c.x[a][n - 1];
    c.dead[i] = c.dead[n - 1];
  }
}

// One block of a row: points x0 … x0 + n. False where a band has no part in it.
template <bool SLOPES, class S>
inline bool block_at(const Problem& p, int64_t image, int64_t row, int64_t x0, int n, const Band* band, Block<S>& b) {
  b.n = n;
  b.lanes = padded(n);
  if (p.where != POINTS || p.wide_points) {
    Coordinates<double> c;
    if (p.where == POINTS)
      from_points(p, image, row * p.length + x0, n, c);
    else
      from_matrix(p, b.map, x0, n, c);
    repeat_last(p.dims, n, b.lanes, c);
    if (SLOPES && p.where == PROJECTIVE)
      for (int i = 0; i < n; i++) b.divisor[i] = c.divisor[i];
    return prepare<SLOPES>(p, c, band, b);
  }
  Coordinates<float> c;
  from_points(p, image, row * p.length + x0, n, c);
  repeat_last(p.dims, n, b.lanes, c);
  return prepare<SLOPES>(p, c, band, b);
}

template <bool SLOPES, class S, class Work>
inline void for_blocks(const Problem& p, int64_t image, int64_t first, int64_t last, const Band* band, const Work& work) {
  Block<S> block;
  for (int64_t row = first; row < last; row++) {
    const int64_t begin = row * p.length;
    const int64_t length = p.points - begin < p.length ? p.points - begin : p.length;
    if (p.where != POINTS) block.map = row_map(p, image, row);
    for (int64_t x0 = 0; x0 < length; x0 += LANES) {
      const int n = int(length - x0 < LANES ? length - x0 : LANES);
      if (block_at<SLOPES>(p, image, row, x0, n, band, block)) work(block, row, x0, begin + x0);
    }
  }
}

// The taps of all axes but x, joined: calls work(y, z, offsets, weights, inside) for each.
template <class S, class Work>
inline void for_outer_taps(const Problem& p, const Block<S>& b, const Work& work) {
  using Mask = typename Taps<S>::Mask;
  Index at[LANES];
  S weight[LANES];
  Mask inside[LANES];
  const int ys = p.dims > 1 ? p.axis[1].taps : 1, zs = p.dims > 2 ? p.axis[2].taps : 1;
  for (int z = 0; z < zs; z++)
    for (int y = 0; y < ys; y++) {
      for (int i = 0; i < b.lanes; i++) {
        at[i] = p.dims > 1 ? b.axis[1].at[y][i] : 0;
        weight[i] = p.dims > 1 ? b.axis[1].weight[y][i] : S(1);
      }
      if (p.dims > 2)
        for (int i = 0; i < b.lanes; i++) {
          at[i] += b.axis[2].at[z][i];
          weight[i] *= b.axis[2].weight[z][i];
        }
      if (b.masked)
        for (int i = 0; i < b.lanes; i++)
          inside[i] = (p.dims > 1 ? b.axis[1].inside[y][i] : Mask(-1)) & (p.dims > 2 ? b.axis[2].inside[z][i] : Mask(-1));
      work(y, z, at, weight, inside);
    }
}

// Calls work(x, y, z, offset, outer weight, weight along x) for the taps of point i that lie inside.
template <class S, class Work>
inline void for_taps(const Problem& p, const Block<S>& b, int i, const Work& work) {
  const int ys = p.dims > 1 ? p.axis[1].taps : 1, zs = p.dims > 2 ? p.axis[2].taps : 1;
  for (int z = 0; z < zs; z++) {
    if (p.dims > 2 && b.masked && !b.axis[2].inside[z][i]) continue;
    for (int y = 0; y < ys; y++) {
      if (p.dims > 1 && b.masked && !b.axis[1].inside[y][i]) continue;
      const Index at = (p.dims > 1 ? b.axis[1].at[y][i] : 0) + (p.dims > 2 ? b.axis[2].at[z][i] : 0);
      S outer = p.dims > 1 ? b.axis[1].weight[y][i] : S(1);
      if (p.dims > 2) outer *= b.axis[2].weight[z][i];
      for (int x = 0; x < p.axis[0].taps; x++) {
        if (b.masked && !b.axis[0].inside[x][i]) continue;
        work(x, y, z, at + b.axis[0].at[x][i], outer, b.axis[0].weight[x][i]);
      }
    }
  }
}

// For each axis the weights that lie inside, added up; exactly 1 where all of them do.
template <class S>
inline void share_inside(const Problem& p, const Block<S>& b, S (*share)[LANES]) {
  for (int a = 0; a < p.dims; a++)
    for (int i = 0; i < b.lanes; i++) {
      S sum = 0;
      bool all = p.axis[a].unity;
      for (int t = 0; t < p.axis[a].taps; t++) {
        const bool in = b.axis[a].inside[t][i];
        sum += in ? b.axis[a].weight[t][i] : S(0);
        all = all && in;
      }
      share[a][i] = all ? S(1) : sum;
    }
}

// Whether something is filled in where taps lie outside.
inline bool fills(const Problem& p) {
  if (!p.fill) return false;
  for (int a = 0; a < p.dims; a++)
    if (p.axis[a].padding == ZEROS) return true;
  return false;
}

// Whether all weights together are one wherever every tap lies inside.
inline bool unity(const Problem& p) {
  for (int a = 0; a < p.dims; a++)
    if (!p.axis[a].unity) return false;
  return true;
}

template <class S>
inline bool fills(const Problem& p, const Block<S>& b) {
  return fills(p) && (b.masked || !unity(p));
}
