// Images with their channels last, a lane a channel. Included by loops.inl.

template <int WIDTH, class S>
inline void blend(const S* u, const Index* at, const S* weight, int count, S* out) {
  S sum[WIDTH] = {};
  for (int k = 0; k < count; k++) {
    const S* pixel = u + at[k];
    const S w = weight[k];
    for (int c = 0; c < WIDTH; c++) sum[c] += w * pixel[c];
  }
  for (int c = 0; c < WIDTH; c++) out[c] = sum[c];
}

template <class S>
void forward_last(const Problem& p, const S* image, S* output, int64_t n, int64_t first, int64_t last) {
  const S* u = image + n * p.image_stride;
  std::vector<Index> at(MAX_TAPS * MAX_TAPS * MAX_TAPS);
  std::vector<S> weight(at.size());
  for_blocks<false, S>(p, n, first, last, nullptr, [&](const Block<S>& b, int64_t, int64_t, int64_t point) {
    S share[3][LANES];
    const bool filled = fills(p, b);
    if (filled) share_inside(p, b, share);
    for (int i = 0; i < b.n; i++) {
      int count = 0;
      for_taps(p, b, i, [&](int, int, int, Index offset, S outer, S along) {
        at[count] = offset;
        weight[count++] = outer * along;
      });
      S* out = output + p.out_offset(n, 0, point + i);
      int64_t c = 0;
      for (; c + 64 <= p.channels; c += 64) blend<64>(u + c, at.data(), weight.data(), count, out + c);
      for (; c + 16 <= p.channels; c += 16) blend<16>(u + c, at.data(), weight.data(), count, out + c);
      for (; c + 4 <= p.channels; c += 4) blend<4>(u + c, at.data(), weight.data(), count, out + c);
      for (; c < p.channels; c++) blend<1>(u + c, at.data(), weight.data(), count, out + c);
      const bool dead = b.any_dead && b.dead[i];
      if (dead || filled) {
        S all = dead ? S(0) : share[0][i];
        for (int a = 1; a < p.dims && !dead; a++) all *= share[a][i];
        if (p.fill)
          for (int64_t k = 0; k < p.channels; k++) out[k] += S(p.fill[k]) * (1 - all);
      }
    }
  });
}

template <bool WHERE, bool IMAGE, class S>
void backward_last(
    const Problem& p, const S* image, const Gradients<S>& g, int64_t n, int64_t first, int64_t last, const Band* band) {
  const S* u = WHERE ? image + n * p.image_stride : nullptr;
  S* du = IMAGE ? g.image + n * p.image_stride : nullptr;
  constexpr int WIDTH = 16;
  for_blocks<WHERE, S>(p, n, first, last, band, [&](const Block<S>& b, int64_t row, int64_t x0, int64_t point) {
    Slopes<S> slopes;
    if (WHERE) clear(p, b, slopes);
    for (int i = 0; i < b.n; i++) {
      const S* grad = g.output + p.out_offset(n, 0, point + i);
      if (WHERE && p.fill)
        for (int64_t c = 0; c < p.channels; c++) slopes.fill[i] += grad[c] * S(p.fill[c]);
      for_taps(p, b, i, [&](int x, int y, int z, Index at, S outer, S along) {
        const S w = outer * along;
        S dots[WIDTH] = {}, dot = 0;
        int64_t c = 0;
        for (; c + WIDTH <= p.channels; c += WIDTH)
          for (int k = 0; k < WIDTH; k++) {
            if (WHERE) dots[k] += grad[c + k] * u[at + c + k];
            if (IMAGE) du[at + c + k] += w * grad[c + k];
          }
        for (; c < p.channels; c++) {
          if (WHERE) dot += grad[c] * u[at + c];
          if (IMAGE) du[at + c] += w * grad[c];
        }
        if (WHERE) {
          for (int k = 0; k < WIDTH; k++) dot += dots[k];
          const S wy = p.dims > 1 ? b.axis[1].weight[y][i] : S(1),
                  wz = p.dims > 2 ? b.axis[2].weight[z][i] : S(1);
          slopes.tap[0][x][i] += outer * dot;
          if (p.dims > 1) slopes.tap[1][y][i] += along * wz * dot;
          if (p.dims > 2) slopes.tap[2][z][i] += along * wy * dot;
        }
      });
    }
    if (WHERE) collect(p, b, slopes, g, n, row, x0, point);
  });
}
