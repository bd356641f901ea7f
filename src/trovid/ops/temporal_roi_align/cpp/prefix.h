// A small orthonormal basis for the support cells of a video, and vectors as seen in it.
//
// The first directions hold most of what the cells of a trained network's maps are, so the products
// of these prefixes, and the norms of what they leave out, bound the cosines (search_prefix.h). How
// good a basis is decides the time, never the result.
#pragma once

#include <cmath>
#include <cstring>

#include "embedding.h"
#include "pairs.h"

namespace TROVID_ISA {

constexpr int64_t kBasisSamples = 1024;  // cells that a basis is made from
constexpr int kBasisSteps = 3;           // of subspace iteration
constexpr int64_t kCellStrip = 48;       // rows that one task multiplies
constexpr float kLargestDefect = 0.01f;
constexpr float kHalfUlp = 0x1p-24f;     // what rounding takes of a float, as a share of it

// Directions of the widest prefix: a quarter of the channels.
inline int64_t widest_prefix(int64_t channels) { return round_up((channels + 3) / 4, 8); }

// Makes the rows [width, channels] orthonormal, one after the other; rows that add nothing become 0.
inline void orthonormalize(float* rows, int64_t width, int64_t channels, int passes) {
  for (int64_t i = 0; i < width; ++i) {
    float* own = rows + i * channels;
    const float before = std::sqrt(dot(own, own, channels));
    for (int pass = 0; pass < passes; ++pass)
      for (int64_t j = 0; j < i; ++j)
        add_scaled(own, -dot(own, rows + j * channels, channels), rows + j * channels, channels);
    const float norm = std::sqrt(dot(own, own, channels));
    const bool adds = norm > 1e-4f * before && norm > 1e-30f;
    scale_into(own, adds ? 1 / norm : 0, own, channels);
  }
}

// The leading directions of a sample of the cells of maps [frames, cells, channels], or of planes
// [frames, channels, cells], given their inverse norms: basis [width, channels], the strongest first.
inline void make_basis(const float* maps, bool planes, const float* inverse_norms, int64_t frames,
                       int64_t cells, int64_t channels, int64_t width, int64_t threads,
                       float* basis) {
  const int64_t count = frames * cells, samples = count < kBasisSamples ? count : kBasisSamples;
  const int64_t stride = round_up(channels, kPanel);
  if (samples == 0) {
    std::memset(basis, 0, sizeof(float) * width * channels);
    return;
  }
  Array<float> unit(samples * stride), moment(channels * stride), next(width * stride);
  Array<const float*> rows(samples), left(width);
  std::memset(unit.data(), 0, sizeof(float) * samples * stride);
  std::memset(moment.data(), 0, sizeof(float) * channels * stride);
  const auto sampled = [&](int64_t i) { return (2 * i + 1) * count / (2 * samples); };
  for (int64_t i = 0; i < samples; ++i) rows[i] = unit.data() + i * stride;
  if (planes) {
    parallel(channels, threads, [&](int64_t c, int64_t) {
      for (int64_t i = 0; i < samples; ++i) {
        const int64_t from = sampled(i), frame = from / cells;
        unit[i * stride + c] =
            inverse_norms[from] * maps[(frame * channels + c) * cells + from % cells];
      }
    });
  } else {
    for (int64_t i = 0; i < samples; ++i)
      scale_into(unit.data() + i * stride, inverse_norms[sampled(i)],
                 maps + sampled(i) * channels, channels);
  }
  const int64_t strips = (channels + kCellStrip - 1) / kCellStrip;
  PerThread<Array<const float*>> shifted(threads, samples);
  parallel(strips, threads, [&](int64_t strip, int64_t thread) {
    const int64_t first = strip * kCellStrip;
    for (int64_t i = 0; i < samples; ++i) shifted[thread][i] = rows[i] + first;
    outer_product(shifted[thread].data(), rows.data(), samples,
                  channels - first < kCellStrip ? channels - first : kCellStrip, channels,
                  moment.data() + first * stride, stride);
  });
  for (int64_t j = 0; j < width; ++j)
    std::memcpy(basis + j * channels, rows[j * samples / width], sizeof(float) * channels);
  orthonormalize(basis, width, channels, 1);
  for (int step = 0; step < kBasisSteps; ++step) {
    for (int64_t j = 0; j < width; ++j) left[j] = basis + j * channels;
    PerThread<Array<float*>> out(threads, width);
    parallel(stride / kPanel, threads, [&](int64_t panel, int64_t thread) {
      const int64_t first = panel * kPanel;
      for (int64_t j = 0; j < width; ++j) out[thread][j] = next.data() + j * stride + first;
      product(left.data(), width, moment.data() + first, stride, channels, kPanel,
              out[thread].data(), false);
    });
    for (int64_t j = 0; j < width; ++j)
      std::memcpy(basis + j * channels, next.data() + j * stride, sizeof(float) * channels);
    orthonormalize(basis, width, channels, step + 1 < kBasisSteps ? 1 : 2);
  }
}

inline double exact_dot(const float* a, const float* b, int64_t count) {
  double sums[8] = {};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int j = 0; j < 8; ++j) sums[j] += static_cast<double>(a[i + j]) * b[i + j];
  for (; i < count; ++i) sums[0] += static_cast<double>(a[i]) * b[i];
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// At least the largest singular value of B B^T - I over the rows of a basis that are not 0.
inline float defect_of(const float* basis, int64_t width, int64_t channels, int64_t threads) {
  Array<double> sums(width);
  parallel(width, threads, [&](int64_t i, int64_t) {
    const float* own = basis + i * channels;
    const double square = exact_dot(own, own, channels);
    sums[i] = square == 0 ? 0 : std::fabs(square - 1);
    for (int64_t j = 0; j < width; ++j)
      if (j != i) sums[i] += std::fabs(exact_dot(own, basis + j * channels, channels));
  });
  double most = 0;
  for (int64_t i = 0; i < width; ++i) most = sums[i] > most || sums[i] != sums[i] ? sums[i] : most;
  return static_cast<float>(most * 1.0001 + 1e-9);
}

// A basis made ready for products: [channels, stride].
struct Projector {
  int64_t width, channels, stride;
  Array<float> columns;

  Projector(const float* basis, int64_t w, int64_t c)
      : width(w), channels(c), stride(round_up(w, kPanel)), columns(c * stride) {
    std::memset(columns.data(), 0, sizeof(float) * c * stride);
    transpose(basis, c, w, c, columns.data(), stride);
  }

  // The first m directions of rows: to [count, to_stride]; `scales` are factors of the rows or null.
  void project(const float* const* rows, int64_t count, const float* scales, int64_t m, float* to,
               int64_t to_stride, int64_t threads) const {
    PerThread<Array<float>> spaces(threads, kCellStrip * kPanel);
    PerThread<Array<float*>> outs(threads, kCellStrip);
    parallel((count + kCellStrip - 1) / kCellStrip, threads, [&](int64_t task, int64_t thread) {
      const int64_t first = task * kCellStrip;
      const int64_t some = count - first < kCellStrip ? count - first : kCellStrip;
      float* space = spaces[thread].data();
      for (int64_t i = 0; i < some; ++i) outs[thread][i] = space + i * kPanel;
      for (int64_t column = 0; column < m; column += kPanel) {
        const int64_t here = m - column < kPanel ? m - column : kPanel;
        product(rows + first, some, columns.data() + column, stride, channels, here,
                outs[thread].data(), false);
        for (int64_t i = 0; i < some; ++i)
          scale_into(to + (first + i) * to_stride + column, scales ? scales[first + i] : 1,
                     space + i * kPanel, here);
      }
    });
  }
};

// The first m directions of cells [count, channels] divided by their norms: to [count, to_stride].
inline void project_cells(const Projector& projector, const float* cells,
                          const float* inverse_norms, int64_t count, int64_t m, float* to,
                          int64_t to_stride, int64_t threads) {
  Array<const float*> rows(count);
  for (int64_t i = 0; i < count; ++i) rows[i] = cells + i * projector.channels;
  projector.project(rows.data(), count, inverse_norms, m, to, to_stride, threads);
}

// What rounding can do to prefixes of m directions of vectors with C channels, as shares of the
// vectors' norms (docs/operator.md has the proof).
struct PrefixError {
  float prefix;   // of a prefix in float32
  float product;  // of a product of two prefixes
  float defect;   // of the basis
  float norm;     // of a norm, and of the product that decides

  PrefixError(int64_t m, int64_t channels, float d) : defect(d) {
    const float directions = static_cast<float>(m);
    norm = static_cast<float>(channels + 16) * kHalfUlp;
    prefix = 1.01f * std::sqrt(directions) * norm;
    const float lost = !kHasPairs ? 0 : kWholePairs ? whole_lost(m) : 1 / 510.0f + 4e-6f;
    product = 2.05f * (prefix + lost) + 1.01f * defect + 4 * directions * kHalfUlp;
  }

  // At least the norm of what a prefix of that length leaves of a vector; `error` is that of the
  // prefix.
  float remainder(float length, float prefix_length, float error) const {
    const float sure = prefix_length > error ? prefix_length - error : 0;
    const float square =
        length * length * (1 + 4 * norm) - sure * sure * (1 - 1.01f * defect - 4 * norm);
    return square > 0 ? 1.0001f * std::sqrt(square) : 0;
  }
};

}  // namespace TROVID_ISA
