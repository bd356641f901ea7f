// Products of vectors whose values are all bfloat16's, two at a time.
//
// A float32 whose lower half is zero is a bfloat16, and the product of two of these is exact in
// float32. So where a map comes from a network that computes in bfloat16, the instruction for pairs
// gives what float32's gives, in another order of summation and twice as fast.
#pragma once

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

// The first rows of a product as pairs: those before the first that has another value, or none
// where these are not the most.
class PairRows {
 public:
  PairRows(const float* const* rows, int64_t rows_in_all, int64_t channels)
      : pairs_(pairs_of(channels)) {
    if (!kHasPairs || rows_in_all == 0) return;
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
  // `product`; false where these have other values. `space` has room for 2 pairs_of(channels)
  // panels' rows.
  bool multiply(const float* from, int64_t channels, int64_t columns, float* space,
                float* const* out) const {
    float* panel = space + pairs_ * kPanel;
    bool exact = true;
    for (int64_t i = 0; i < columns; ++i)
      exact = to_pairs(from + i * channels, channels, space + i * pairs_) && exact;
    if (!exact) return false;
    std::memset(space + columns * pairs_, 0, sizeof(float) * (kPanel - columns) * pairs_);
    transpose(space, pairs_, kPanel, pairs_, panel, kPanel);
    product<Pairs>(pointers_.data(), count, panel, kPanel, pairs_, kPanel, out, false);
    return true;
  }

  int64_t count = 0;

 private:
  int64_t pairs_;
  Array<float> values_;
  Array<const float*> pointers_;
};

}  // namespace TROVID_ISA
