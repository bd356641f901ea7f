// Vectors of floats as the compiler's own vector types: one source for every instruction set.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace TROVID_ISA {

#if defined(__AVX512F__)
constexpr int kWidth = 16;
#elif defined(__AVX2__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * kWidth), may_alias));
typedef float UnalignedVec __attribute__((vector_size(4 * kWidth), aligned(4), may_alias));

inline Vec load(const float* from) { return *reinterpret_cast<const UnalignedVec*>(from); }

inline void store(float* to, Vec value) { *reinterpret_cast<UnalignedVec*>(to) = value; }

inline Vec broadcast(float value) {
  Vec result = {};
  return result + value;
}

inline float sum(Vec value) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)value);
#elif defined(__AVX2__)
  __m128 half = _mm_add_ps(_mm256_castps256_ps128((__m256)value),
                           _mm256_extractf128_ps((__m256)value, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
#else
  return (value[0] + value[2]) + (value[1] + value[3]);
#endif
}

#if defined(__AVX2__)
inline __m256 halved(Vec value) {
#if defined(__AVX512F__)
  return _mm256_add_ps(_mm512_castps512_ps256((__m512)value),
                       _mm512_extractf32x8_ps((__m512)value, 1));
#else
  return (__m256)value;
#endif
}
#endif

// The sums of four vectors at once.
inline void sum_into(float* to, Vec a, Vec b, Vec c, Vec d) {
#if defined(__AVX2__)
  const __m256 quarters = _mm256_hadd_ps(_mm256_hadd_ps(halved(a), halved(b)),
                                         _mm256_hadd_ps(halved(c), halved(d)));
  _mm_storeu_ps(to, _mm_add_ps(_mm256_castps256_ps128(quarters),
                               _mm256_extractf128_ps(quarters, 1)));
#else
  to[0] = sum(a), to[1] = sum(b), to[2] = sum(c), to[3] = sum(d);
#endif
}

// Bit i is set where lane i of a is at least lane i of b.
inline unsigned at_least(Vec a, Vec b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ);
#elif defined(__AVX2__)
  return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GE_OQ));
#else
  unsigned mask = 0;
  for (int lane = 0; lane < kWidth; ++lane) mask |= unsigned(a[lane] >= b[lane]) << lane;
  return mask;
#endif
}

// The greater lanes of two vectors.
inline Vec greatest(Vec a, Vec b) { return a > b ? a : b; }

inline float greatest(Vec value) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps((__m512)value);
#else
  float most = value[0];
  for (int lane = 1; lane < kWidth; ++lane) most = value[lane] > most ? value[lane] : most;
  return most;
#endif
}

// to += factor * from
inline void add_scaled(float* to, float factor, const float* from, int64_t count) {
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) store(to + i, load(to + i) + factor * load(from + i));
  for (; i < count; ++i) to[i] += factor * from[i];
}

// to = factor * from
inline void scale_into(float* to, float factor, const float* from, int64_t count) {
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) store(to + i, factor * load(from + i));
  for (; i < count; ++i) to[i] = factor * from[i];
}

// Asks for values before they are read.
inline void fetch(const float* values, int64_t count) {
  for (int64_t i = 0; i < count; i += 16) __builtin_prefetch(values + i);
}

inline float dot(const float* a, const float* b, int64_t count) {
  Vec sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * kWidth <= count; i += 4 * kWidth)
    for (int j = 0; j < 4; ++j) sums[j] += load(a + i + j * kWidth) * load(b + i + j * kWidth);
  for (; i + kWidth <= count; i += kWidth) sums[0] += load(a + i) * load(b + i);
  float total = sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < count; ++i) total += a[i] * b[i];
  return total;
}

}  // namespace TROVID_ISA
