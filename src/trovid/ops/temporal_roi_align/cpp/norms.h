// 1 / length of the cells of support maps, in rows or in planes: the same bits from both.
#pragma once

#include <cmath>

#include "kernels.h"
#include "parallel.h"
#include "simd.h"

namespace TROVID_ISA {

// Vectors not longer than this have no direction, as in trovid.ops.temporal_roi_align.packed.
constexpr float kSmallestNorm = 1e-12f;
// Products of longer vectors may leave float32's range.
constexpr float kLargestNorm = 1e18f;
// Squares are summed in so many parts, channel c in part c % kNormParts, and the parts in turn.
constexpr int kNormParts = 16;
constexpr int64_t kNormCells = 128;  // of one task
constexpr int64_t kPlanesAhead = 12;  // asked for before they are read

// The parts of a row's sum.
inline void add_squares(const float* row, int64_t channels, float* parts) {
  constexpr int kVectors = kNormParts / kWidth;
  Vec sums[kVectors] = {};
  float last[kNormParts] = {};
  for (int64_t c = 0; c < channels; c += kNormParts) {
    const float* from = row + c;
    if (channels - c < kNormParts) {
      std::memcpy(last, from, sizeof(float) * (channels - c));
      from = last;
    }
    for (int j = 0; j < kVectors; ++j) {
      const Vec value = load(from + j * kWidth);
      sums[j] += value * value;
    }
  }
  for (int j = 0; j < kVectors; ++j) store(parts + j * kWidth, sums[j]);
}

// The parts [kNormParts, kNormCells] of the sums of `count` cells of planes [channels, stride].
inline void add_squares(const float* planes, int64_t stride, int64_t channels, int64_t count,
                        float* parts) {
  float last[kWidth] = {};
  const int64_t whole = count / kWidth * kWidth;
  for (int64_t c = 0; c < channels; ++c, planes += stride) {
    if (c + kPlanesAhead < channels) fetch(planes + kPlanesAhead * stride, count);
    float* sums = parts + c % kNormParts * kNormCells;
    for (int64_t i = 0; i < whole; i += kWidth) {
      const Vec value = load(planes + i);
      store(sums + i, load(sums + i) + value * value);
    }
    if (whole == count) continue;
    for (int64_t i = whole; i < count; ++i) last[i - whole] = planes[i];
    const Vec value = load(last);
    store(sums + whole, load(sums + whole) + value * value);
  }
}

// From a cell's parts, `step` apart: 0 where it has no direction, and not a number where it has such a
// value.
inline float inverse_norm(const float* parts, int64_t step) {
  float sum = 0;
  for (int part = 0; part < kNormParts; ++part) sum += parts[part * step];
  const float norm = std::sqrt(sum);
  return norm <= kSmallestNorm ? 0 : 1 / norm;
}

// Of maps [frames, cells, channels] or planes.
inline void inverse_norms_of(const float* maps, int64_t frames, int64_t channels, int64_t cells,
                             bool planes, int64_t threads, float* to) {
  const int64_t blocks = (cells + kNormCells - 1) / kNormCells;
  parallel(frames * blocks, threads, [&](int64_t task, int64_t) {
    const int64_t frame = task / blocks, first = task % blocks * kNormCells;
    const int64_t count = cells - first < kNormCells ? cells - first : kNormCells;
    const float* map = maps + frame * cells * channels;
    alignas(64) float parts[kNormParts * kNormCells] = {};
    if (planes) add_squares(map + first, cells, channels, count, parts);
    for (int64_t i = 0; i < count; ++i) {
      float* own = parts + (planes ? i : 0);
      if (!planes) add_squares(map + (first + i) * channels, channels, own);
      to[frame * cells + first + i] = inverse_norm(own, planes ? kNormCells : 1);
    }
  });
}

// Throws OutOfRange unless all `count` cells, `cell` apart, of values `step` apart are finite and of
// moderate length.
inline void check_cells(const float* cells, const float* inverse_norms, int64_t count, int64_t cell,
                        int64_t channels, int64_t step) {
  for (int64_t i = 0; i < count; ++i) {
    const float inverse = inverse_norms[i];
    if (inverse > 1 / kLargestNorm && inverse <= 1 / kSmallestNorm) continue;
    if (inverse != 0) throw OutOfRange();
    for (int64_t c = 0; c < channels; ++c)
      if (!(std::fabs(cells[i * cell + c * step]) <= 1)) throw OutOfRange();
  }
}

}  // namespace TROVID_ISA
