// Support maps as networks leave them, one plane a channel: [frames, channels, cells].
//
// A search in all channels reads 64 cells of every channel in turn, which is how such a map lies. So
// it is searched as it is, and only the cells that positions choose are gathered as rows.
#pragma once

#include "norms.h"
#include "pairs.h"
#include "parallel.h"

namespace TROVID_ISA {

// to[i][j] = from[j][i] for `count` matrices [rows, columns].
inline void transpose_all(const float* from, int64_t count, int64_t rows, int64_t columns,
                          int64_t threads, float* to) {
  trovid_expect_writes(to, sizeof(float) * count * rows * columns);
  // A task writes its place from end to end.
  const int64_t strips = panels_of(columns);
  parallel(count * strips, threads, [&](int64_t task, int64_t) {
    const int64_t matrix = task / strips * rows * columns, first = task % strips * kPanel;
    const int64_t some = columns - first < kPanel ? columns - first : kPanel;
    transpose(from + matrix + first, columns, rows, some, to + matrix + first * rows, rows);
  });
}

// Rows of planes ahead that are asked for before they are read.
constexpr int64_t kRowsAhead = 24;

// `count` cells of the planes [channels, stride] from `from` on as a panel [channels][kPanel], with
// zeros behind them. On the way their squares are added to `parts` [kNormParts, kPanel], or to null.
inline void copy_panel(const float* from, int64_t stride, int64_t channels, int64_t count,
                       float* panel, float* parts) {
  for (int64_t c = 0; c < channels; ++c, from += stride, panel += kPanel) {
    if (c + kRowsAhead < channels) fetch(from + kRowsAhead * stride, count);
    if (count < kPanel) {
      std::memcpy(panel, from, sizeof(float) * count);
      std::memset(panel + count, 0, sizeof(float) * (kPanel - count));
    }
    float* sums = parts ? parts + c % kNormParts * kPanel : nullptr;
    for (int j = 0; j < kPanel; j += kWidth) {
      const Vec value = load((count < kPanel ? panel : from) + j);
      store(panel + j, value);
      if (sums) store(sums + j, load(sums + j) + value * value);
    }
  }
}

// Whole numbers of two channels as pairs.
inline Vec whole_pairs(Vec first, Vec second) {
#if defined(__AVX512F__)
  return (Vec)_mm512_mask_blend_epi16(
      0xaaaaaaaa, _mm512_cvtps_epi32((__m512)first),
      _mm512_slli_epi32(_mm512_cvtps_epi32((__m512)second), 16));
#elif defined(__AVX2__)
  return (Vec)_mm256_blend_epi16(_mm256_cvtps_epi32((__m256)first),
                                 _mm256_slli_epi32(_mm256_cvtps_epi32((__m256)second), 16), 0xaa);
#else
  return first + second;
#endif
}

// The same cells as `copy_panel`, each times its factor, as a panel of pairs of the nearest whole
// numbers, [pairs_of(channels)][kPanel].
inline void whole_panel(const float* from, int64_t stride, int64_t channels, int64_t count,
                        const float* factors, float* panel) {
  alignas(64) float scales[kPanel] = {}, two[2][kPanel] = {};
  std::memcpy(scales, factors, sizeof(float) * count);
  for (int64_t c = 0; c < channels; c += 2, from += 2 * stride, panel += kPanel) {
    if (c + kRowsAhead + 1 < channels) {
      fetch(from + kRowsAhead * stride, count);
      fetch(from + (kRowsAhead + 1) * stride, count);
    }
    const float *first = from, *second = from + stride;
    const bool single = c + 1 == channels;
    if (count < kPanel || single) {
      std::memcpy(two[0], first, sizeof(float) * count);
      if (single)
        std::memset(two[1], 0, sizeof two[1]);
      else
        std::memcpy(two[1], second, sizeof(float) * count);
      first = two[0], second = two[1];
    }
    for (int j = 0; j < kPanel; j += kWidth) {
      const Vec scale = load(scales + j);
      store(panel + j, whole_pairs(scale * load(first + j), scale * load(second + j)));
    }
  }
}

// Those cells of planes that somebody wants, as rows of some frames and channels at a time.
class GatheredCells {
 public:
  GatheredCells(const float* planes, int64_t frames, int64_t channels, int64_t cells)
      : planes_(planes), frames_(frames), channels_(channels), cells_(cells) {}

  // Before anything is wanted.
  void begin() {
    places_.resize(frames_ * cells_);
    places_.fill(frames_ * cells_, kUnwanted);
  }

  // May be called for several frames at a time, before they are numbered.
  void want(int64_t frame, int64_t cell) { places_[frame * cells_ + cell] = 0; }

  // Gives the cells of frames [first, first + frames) their places.
  void number(int64_t first_frame, int64_t frames) {
    count_ = 0;
    for (int64_t i = first_frame * cells_; i < (first_frame + frames) * cells_; ++i)
      if (places_[i] != kUnwanted) places_[i] = count_++;
  }

  // Channels [channel, channel + width) of the frames that were numbered last.
  void gather(int64_t first_frame, int64_t frames, int64_t channel, int64_t width,
              int64_t threads) {
    if (count_ * width > capacity_) rows_.resize(capacity_ = count_ * width);
    const int64_t blocks = (cells_ + kBlock - 1) / kBlock;
    PerThread<Array<float>> spaces(threads, kBlock * width);
    parallel(frames * blocks, threads, [&](int64_t task, int64_t thread) {
      const int64_t frame = first_frame + task / blocks, first = task % blocks * kBlock;
      const int64_t some = cells_ - first < kBlock ? cells_ - first : kBlock;
      const int32_t* places = places_.data() + frame * cells_ + first;
      bool wanted = false;
      for (int64_t i = 0; i < some; ++i) wanted = wanted || places[i] != kUnwanted;
      if (!wanted) return;
      float* space = spaces[thread].data();
      transpose(planes_ + (frame * channels_ + channel) * cells_ + first, cells_, width, some,
                space, width);
      for (int64_t i = 0; i < some; ++i)
        if (places[i] != kUnwanted)
          std::memcpy(rows_.data() + places[i] * width, space + i * width, sizeof(float) * width);
    });
  }

  // Of a cell of a frame that was numbered last.
  int32_t place(int64_t frame, int64_t cell) const { return places_[frame * cells_ + cell]; }
  const float* rows() const { return rows_.data(); }

 private:
  static constexpr int32_t kUnwanted = -1;

  const float* planes_;
  int64_t frames_, channels_, cells_, capacity_ = 0;
  int32_t count_ = 0;
  Array<int32_t> places_;
  Array<float> rows_;
};

}  // namespace TROVID_ISA
