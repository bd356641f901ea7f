// Products of vectors of 16-bit numbers, two channels at a time and twice as fast as float32's.
//
// Where the processor has them, these are bfloat16's. A float32 whose lower half is zero is one, and
// the product of two of these is exact in float32, but for numbers below 1.2e-38, which count as
// zero. So where a map comes from a network that computes in bfloat16, the instruction for pairs
// gives what float32's gives, in another order of summation. Other values are rounded, and the
// products are off by a known bound.
//
// Else they are whole numbers: a vector of length 1 is rounded to multiples of 1 / kUnit, and sums of
// their products are exact.
#pragma once

#include <cmath>
#include <cstring>

#include "product.h"

namespace TROVID_ISA {

// A pair is kept in the 32 bits of a float: the first of the two in the lower half.
#if defined(__AVX512BF16__)
constexpr bool kHasPairs = true, kWholePairs = false;
struct Pairs {
  static Vec spread(float pair) { return (Vec)_mm512_set1_ps(pair); }
  static Vec add(Vec sum, Vec left, Vec right) {
    return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)left, (__m512bh)right);
  }
  static void next_row() {}
};
#elif defined(__AVX512F__)
constexpr bool kHasPairs = true, kWholePairs = true;
struct Pairs {
  static Vec spread(float pair) { return (Vec)_mm512_set1_ps(pair); }
  static Vec add(Vec sum, Vec left, Vec right) {
#if defined(__AVX512VNNI__)
    return (Vec)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)left, (__m512i)right);
#else
    return (Vec)_mm512_add_epi32((__m512i)sum, _mm512_madd_epi16((__m512i)left, (__m512i)right));
#endif
  }
  static void next_row() {}
};
#elif defined(__AVX2__)
constexpr bool kHasPairs = true, kWholePairs = true;
struct Pairs {
  static Vec spread(float pair) { return (Vec)_mm256_set1_ps(pair); }
#if defined(__AVXVNNI__)
  static Vec add(Vec sum, Vec left, Vec right) {
    return (Vec)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)left, (__m256i)right);
  }
  static void next_row() {}
#else
  static Vec add(Vec sum, Vec left, Vec right) {
    return (Vec)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16((__m256i)left, (__m256i)right));
  }
  // The products need registers: no row is to be loaded before it is its turn.
  static void next_row() { asm volatile("" ::: "memory"); }
#endif
};
#else
constexpr bool kHasPairs = false, kWholePairs = false;
using Pairs = Floats;
#endif

// A vector of length 1 in whole numbers has this length: products and their sums, which are no longer
// than its square, fit into 32 bits, and every part into 16.
constexpr float kUnit = 32000;

// Products and their sum in one instruction.
#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
constexpr bool kFused = true;
#else
constexpr bool kFused = false;
#endif

inline int64_t pairs_of(int64_t count) { return (count + 1) / 2; }

// Values [count] to pairs; returns whether all of them are bfloat16's.
inline bool to_pairs(const float* values, int64_t count, float* pairs) {
  uint32_t lost = 0;
  for (int64_t i = 0; i < count / 2; ++i) {
    uint32_t two[2];
    std::memcpy(two, values + 2 * i, sizeof two);
    const uint32_t pair = two[0] >> 16 | (two[1] & 0xffff0000u);
    std::memcpy(pairs + i, &pair, sizeof pair);
    lost |= two[0] | two[1];
  }
  if (count % 2) {
    uint32_t last;
    std::memcpy(&last, values + count - 1, sizeof last);
    lost |= last;
    last >>= 16;
    std::memcpy(pairs + count / 2, &last, sizeof last);
  }
  return !(lost & 0xffffu);
}

// The bfloat16 nearest to a value.
inline float nearest_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x7fffu + (bits >> 16 & 1)) & 0xffff0000u;
  std::memcpy(&value, &bits, sizeof bits);
  return value;
}

// to += factor * (what rounding to the nearest bfloat16 takes of each value)
inline void add_lost(const float* values, int64_t count, float factor, float* to) {
  for (int64_t i = 0; i < count; ++i) to[i] += factor * (values[i] - nearest_bf16(values[i]));
}

// Values [count] to pairs of the nearest bfloat16's; `space` has room for 2 pairs_of(count).
inline void round_to_pairs(const float* values, int64_t count, float* space, float* pairs) {
  for (int64_t i = 0; i < count; ++i) space[i] = nearest_bf16(values[i]);
  if (count % 2) space[count] = 0;
  to_pairs(space, 2 * pairs_of(count), pairs);
}

// What rounding to the nearest bfloat16 takes from a vector, as a share of its norm, at the most.
constexpr float kMostLost = 1.0f / 256;

// What rounding a vector of length 1 to whole numbers takes of it, at the most.
inline float whole_lost(int64_t channels) {
  return 0.51f / kUnit * std::sqrt(static_cast<float>(channels)) + 4e-6f;
}

// Whole numbers in the place of floats, as floats.
inline Vec from_whole(Vec values) {
#if defined(__AVX512F__)
  return (Vec)_mm512_cvtepi32_ps((__m512i)values);
#elif defined(__AVX2__)
  return (Vec)_mm256_cvtepi32_ps((__m256i)values);
#else
  return values;
#endif
}

// Values [count] times `factor`, each not beyond kUnit then, to pairs of the nearest whole numbers.
inline void to_whole_pairs(const float* values, int64_t count, float factor, float* pairs) {
  int64_t i = 0;
  char* to = reinterpret_cast<char*>(pairs);
#if defined(__AVX512F__)
  for (; i + kWidth <= count; i += kWidth)
    _mm256_storeu_si256(
        reinterpret_cast<__m256i*>(to + 2 * i),
        _mm512_cvtepi32_epi16(_mm512_cvtps_epi32((__m512)(factor * load(values + i)))));
#elif defined(__AVX2__)
  for (; i + 2 * kWidth <= count; i += 2 * kWidth) {
    const __m256i low = _mm256_cvtps_epi32((__m256)(factor * load(values + i)));
    const __m256i high = _mm256_cvtps_epi32((__m256)(factor * load(values + i + kWidth)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 2 * i),
                        _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8));
  }
#endif
  for (; i < 2 * pairs_of(count); ++i) {
    const float value = i < count ? factor * values[i] : 0;
    const int16_t whole = static_cast<int16_t>(__builtin_rintf(value));
    std::memcpy(to + 2 * i, &whole, sizeof whole);
  }
}

}  // namespace TROVID_ISA
