// The most similar features (Eq. 3 and 4): softmax over the K cosines, weighted sum of the cells.
#pragma once

#include <cmath>

#include "simd.h"

namespace TROVID_ISA {

inline void softmax(const float* scores, int64_t count, float* weights) {
  float total = 0;
  for (int64_t k = 0; k < count; ++k) total += weights[k] = std::exp(scores[k] - scores[0]);
  for (int64_t k = 0; k < count; ++k) weights[k] /= total;
}

// to[0..count) = sum over K of weight * cell[offset..offset + count).
template <int Vecs>
inline void gather_vecs(const float* cells, int64_t channels, const int32_t* indices,
                        const float* weights, int64_t top_k, float* to) {
  Vec sums[Vecs];
#pragma GCC unroll 8
  for (int j = 0; j < Vecs; ++j) sums[j] = Vec{};
  for (int64_t k = 0; k < top_k; ++k) {
    const float* from = cells + indices[k] * channels;
    const float weight = weights[k];
#pragma GCC unroll 8
    for (int j = 0; j < Vecs; ++j) sums[j] += weight * load(from + j * kWidth);
  }
#pragma GCC unroll 8
  for (int j = 0; j < Vecs; ++j) store(to + j * kWidth, sums[j]);
}

// `cells` points at channel `offset` of the frame's first cell.
inline void gather(const float* cells, int64_t channels, const int32_t* indices,
                   const float* weights, int64_t top_k, int64_t count, float* to) {
  int64_t c = 0;
  for (; c + 8 * kWidth <= count; c += 8 * kWidth)
    gather_vecs<8>(cells + c, channels, indices, weights, top_k, to + c);
  for (; c + kWidth <= count; c += kWidth)
    gather_vecs<1>(cells + c, channels, indices, weights, top_k, to + c);
  for (; c < count; ++c) {
    float total = 0;
    for (int64_t k = 0; k < top_k; ++k) total += weights[k] * cells[indices[k] * channels + c];
    to[c] = total;
  }
}

}  // namespace TROVID_ISA
