// A problem's tiles → threads: which of the ways forward and back is taken.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <vector>

#include "tiles.h"
#include "waves.h"

namespace warpkit {

// How an image is stored, if not as planes of what is summed.
struct Image {
  const void* pixels;
  Stored stored;
  int64_t bytes;  // of a number
};

constexpr int64_t STAGED_CHANNELS = 8;    // as many are worked on channels last
constexpr int64_t STAGED_WIDTH = 128, STAGED_ROWS = 64;  // of a tile, which is read into the cache
constexpr int64_t STAGED_REACH = 4;       // pixels for a point: others are read number by number

// A tile of an image that is not stored as it is summed: what the tile reaches is converted first.
template <class S>
void forward_staged(const Problem& p, const Part& part, const Image& image, const Sink& sink, std::vector<S>& scratch) {
  const Loops<S>& loops = loops_for<S>(p);
  const char* start = static_cast<const char*>(image.pixels) + part.image * p.image_stride * image.bytes;
  Source<S> source = source_of<S>(p, nullptr);
  source.raw = start;
  source.stored = image.stored;
  const Box box = box_of<S>(p, part);
  const int64_t points = (part.bottom - part.top) * (part.right - part.left);
  if (box.pixels() <= STAGED_REACH * points + 4096) {
    if (int64_t(scratch.size()) < box.pixels() * p.channels) scratch.resize(box.pixels() * p.channels);
    const Pixels<S> to = packed(p, box, false, scratch.data());
    static_cast<Pixels<const S>&>(source) = {to.pixels, {to.stride[0], to.stride[1], to.stride[2]}, to.channel_stride, to.origin};
    const int64_t down = p.dims > 1 ? p.axis[1].stride : 0, deep = p.dims > 2 ? p.axis[2].stride : 0;
    S* out = scratch.data();
    for (int64_t c = 0; c < p.channels; c++)
      for (int64_t z = 0; z < box.size[2]; z++)
        for (int64_t y = 0; y < box.size[1]; y++, out += box.size[0]) {
          const int64_t at = c * p.channel_stride + box.low[0] * p.axis[0].stride + (box.low[1] + y) * down +
                             (box.low[2] + z) * deep;
          loops.convert(start + at * image.bytes, image.stored, p.axis[0].stride, box.size[0], out);
        }
  }
  loops.forward(p, part, source, sink);
}

// Calls work(tile) for all tiles of the output, on as many threads as are worth it.
template <class Work>
void for_tiles(const Problem& p, int64_t most_rows, int64_t width, const Work& work) {
  const int64_t share = p.images * p.rows / (4 * int64_t(torch::stable::get_num_threads()));  // four for each thread
  const Tiling tiles(p, std::min(most_rows, std::max<int64_t>(4, share)), width);
  const int64_t grain = std::max<int64_t>(1, GRAIN / std::max<int64_t>(1, tiles.rows * tiles.columns * p.channels));
  in_parallel(0, p.images * tiles.count(), grain, [&](int64_t begin, int64_t end) {
    work([&](const auto& each) {
      for (int64_t k = begin; k < end; k++) each(tiles.part(p, k / tiles.count(), k % tiles.count()));
    });
  });
}

template <class S>
void run_forward(const Problem& p, const Image& image, void* output) {
  const Loops<S>& loops = loops_for<S>(p);
  const bool plain = image.stored == (sizeof(S) == 4 ? FLOAT : DOUBLE);
  const Sink sink = sink_of(p, output, image.stored);
  if (plain && turns(p, sizeof(S))) {
    const S* pixels = static_cast<const S*>(image.pixels);
    const Problem t = turned(p);
    const int64_t size = pixels_of(p);
    in_parallel(0, p.images, 1, [&](int64_t begin, int64_t end) {
      std::vector<S> in(size * p.channels), out(p.points * p.channels);
      for (int64_t n = begin; n < end; n++) {
        if (n == begin || p.image_stride) transpose(pixels + n * p.image_stride, in.data(), p.channels, size);
        const Problem one = only(t, n);
        loops.forward(one, {0, 0, p.rows, 0, p.length}, source_of<S>(one, in.data()), sink_of(one, out.data(), image.stored));
        transpose(out.data(), static_cast<S*>(output) + n * p.channels * p.points, p.points, p.channels);
      }
    });
    return;
  }
  if (plain && (!p.channels_last || p.channels >= STAGED_CHANNELS))
    return for_tiles(p, ROWS, WIDTH, [&](const auto& tiles) {
      tiles([&](const Part& part) {
        const S* pixels = static_cast<const S*>(image.pixels) + part.image * p.image_stride;
        loops.forward(p, part, source_of(p, pixels), sink);
      });
    });
  // With many channels fewer rows, so that a tile stays in the cache.
  const int64_t rows = std::max<int64_t>(4, STAGED_ROWS * 4 / std::max<int64_t>(4, p.channels));
  for_tiles(p, rows, STAGED_WIDTH, [&](const auto& tiles) {
    std::vector<S> scratch;
    tiles([&](const Part& part) { forward_staged<S>(p, part, image, sink, scratch); });
  });
}

// The nearest pixels, of any type, as they are.
void run_copy(const Problem& p, const Image& image, const void* fill, void* output) {
  const Loops<float>& loops = loops_for<float>(p);
  const Sink sink = sink_of(p, output, image.stored);
  for_tiles(p, ROWS, WIDTH, [&](const auto& tiles) {
    tiles([&](const Part& part) { loops.copy(p, part, image.pixels, fill, image.bytes, sink); });
  });
}

template <class S>
void backward_turned(const Problem& p, const Tiling& tiles, const S* image, const Sums<S>& sums) {
  const Problem t = turned(p);
  const int64_t pixels = pixels_of(p);
  in_parallel(0, p.images, 1, [&](int64_t begin, int64_t end) {
    std::vector<S> in(pixels * p.channels), grad(p.points * p.channels), out(sums.image ? in.size() : 0);
    for (int64_t n = begin; n < end; n++) {
      if (sums.where()) transpose(image + n * p.image_stride, in.data(), p.channels, pixels);
      transpose(sums.output + n * p.channels * p.points, grad.data(), p.channels, p.points);
      std::fill(out.begin(), out.end(), S(0));
      for (int64_t k = 0; k < tiles.count(); k++) {
        Gradients<S> g = sums.of(p, n * tiles.count() + k);
        g.output = grad.data();
        if (g.coords) g.coords = static_cast<char*>(g.coords) + n * p.points * p.dims * (p.wide_points ? 8 : 4);
        if (sums.image) g.image = whole_image(t, out.data());
        backward_tile<S>(only(t, n), tiles.part(p, 0, k), in.data(), g);
      }
      if (sums.image) transpose(out.data(), sums.image + n * p.image_stride, pixels, p.channels);
    }
  });
}

template <class S>
void run_backward(const Problem& p, const Tiling& tiles, const S* image, const Sums<S>& sums) {
  if (turns(p, sizeof(S)) && p.image_stride) return backward_turned(p, tiles, image, sums);
  const bool alone = p.images * tiles.count() == 1 || p.images >= MANY_IMAGES;
  if (alone && (p.image_stride || !sums.image || p.images == 1)) return backward_by_image(p, tiles, image, sums);
  if (!sums.image) return backward_each(p, tiles, image, sums);
  // Points all over the image: boxes as large as it would be worked on one after the other.
  const bool apart = p.images > 1 && p.image_stride && tiles.count() > 1;
  if (apart && 4 * box_of<S>(p, tiles.part(p, 0, 0)).pixels() > pixels_of(p))
    return backward_by_image(p, tiles, image, sums);
  backward_in_waves(p, tiles, image, sums);
}

}  // namespace warpkit
