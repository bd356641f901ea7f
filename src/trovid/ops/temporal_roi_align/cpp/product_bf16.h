// Products of vectors of bfloat16's, two channels at a time and twice as fast as float32's.
//
// A float32 whose lower half is zero is a bfloat16, and the product of two of these is exact in
// float32, but for numbers below 1.2e-38, which count as zero. So where a map comes from a network
// that computes in bfloat16, the instruction for pairs gives what float32's gives, in another order
// of summation. Other values are rounded, and the products are off by a known bound.
#pragma once

#include <cmath>
#include <cstring>

#include "product.h"

namespace TROVID_ISA {

// A pair is kept in the 32 bits of a float: the first of the two in the lower half.
#if defined(__AVX512BF16__)
constexpr bool kHasPairs = true;
struct Pairs {
  static Vec spread(float pair) { return (Vec)_mm512_set1_ps(pair); }
  static Vec add(Vec sum, Vec left, Vec right) {
    return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)left, (__m512bh)right);
  }
};
#else
constexpr bool kHasPairs = false;
using Pairs = Floats;
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

// The first rows of a product as pairs: those before the first that has another value, or none
// where these are not the most; or all of them, rounded.
class PairRows {
 public:
  enum Kind { kNone, kExact, kRounded };

  PairRows(const float* const* rows, int64_t rows_in_all, int64_t channels, Kind kind)
      : pairs_(pairs_of(channels)), rounded_(kind == kRounded) {
    if (!kHasPairs || kind == kNone || rows_in_all == 0) return;
    if (rounded_) {
      Array<float> space(2 * pairs_);
      values_.resize(rows_in_all * pairs_);
      pointers_.resize(rows_in_all);
      for (; count < rows_in_all; ++count) {
        float* to = values_.data() + count * pairs_;
        round_to_pairs(rows[count], channels, space.data(), to);
        pointers_[count] = to;
      }
      return;
    }
    Array<float> first(pairs_);
    if (!to_pairs(rows[0], channels, first.data())) return;
    values_.resize(rows_in_all * pairs_);
    pointers_.resize(rows_in_all);
    for (; count < rows_in_all; ++count) {
      float* to = values_.data() + count * pairs_;
      if (!to_pairs(rows[count], channels, to)) break;
      pointers_[count] = to;
    }
    if (2 * count < rows_in_all) count = 0;
  }

  // The products with `columns` <= kPanel vectors [columns, channels] from `from` on, as of
  // `product`; false where these have other values and are not to be rounded. `space` has room for
  // 2 pairs_of(channels) panels' rows. Raises `share` to what rounding takes of a vector, given the
  // inverse norms.
  bool multiply(const float* from, const float* inverse_norms, int64_t channels, int64_t columns,
                float* space, float* const* out, float& share) const {
    float* panel = space + pairs_ * kPanel;
    float* lost = panel + 2 * pairs_;
    bool allowed = true;
    for (int64_t i = 0; i < columns; ++i) {
      float* pairs = space + i * pairs_;
      if (!rounded_) {
        allowed = to_pairs(from + i * channels, channels, pairs) && allowed;
        continue;
      }
      round_to_pairs(from + i * channels, channels, panel, pairs);
      std::memset(lost, 0, sizeof(float) * channels);
      add_lost(from + i * channels, channels, 1, lost);
      const float norm = std::sqrt(dot(lost, lost, channels));
      if (norm * inverse_norms[i] > share) share = norm * inverse_norms[i];
    }
    if (!allowed) return false;
    std::memset(space + columns * pairs_, 0, sizeof(float) * (kPanel - columns) * pairs_);
    transpose(space, pairs_, kPanel, pairs_, panel, kPanel);
    product<Pairs>(pointers_.data(), count, panel, kPanel, pairs_, kPanel, out, false);
    return true;
  }

  int64_t count = 0;

 private:
  int64_t pairs_;
  bool rounded_;
  Array<float> values_;
  Array<const float*> pointers_;
};

}  // namespace TROVID_ISA
