// Rows of a product as pairs, and their products with support cells.
#pragma once

#include "planes.h"

namespace TROVID_ISA {

// The first rows of a product as pairs: those before the first that has another value, or none
// where these are not the most; or all of them, rounded.
class PairRows {
 public:
  enum Kind { kNone, kExact, kRounded };

  PairRows(const float* const* rows, int64_t rows_in_all, int64_t channels, Kind kind)
      : pairs_(pairs_of(channels)), rounded_(kind == kRounded) {
    if (!kHasPairs || kind == kNone || rows_in_all == 0) return;
    if (rounded_)
      round(rows, rows_in_all, channels);
    else if (!kWholePairs)
      take(rows, rows_in_all, channels);
  }

  // Numbers that `multiply` needs room for.
  static int64_t space(int64_t channels) {
    return (kHasPairs && !kWholePairs ? 4 : 2) * pairs_of(channels) * kPanel;
  }

  // The products with `columns` <= kPanel vectors [columns, stride] from `from` on or with those of
  // planes [channels, stride], as of `product`; false where these have other values and are not to
  // be rounded. Raises `share` to what rounding takes of a vector, given the inverse norms.
  bool multiply(const float* from, int64_t stride, bool planes, const float* inverse_norms,
                int64_t channels, int64_t columns, float* space, float* const* out,
                float& share) const {
    float* panel = space + pairs_ * kPanel;
    if (kWholePairs) share = whole_lost(channels);
    if (planes && kWholePairs) {
      float factors[kPanel];
      for (int64_t i = 0; i < columns; ++i) factors[i] = kUnit * inverse_norms[i];
      whole_panel(from, stride, channels, columns, factors, panel);
    } else {
      float* rows = panel + pairs_ * kPanel;
      if (planes) {
        transpose(from, stride, channels, columns, rows, channels);
        from = rows, stride = channels;
      }
      if (!to_pair_rows(from, stride, inverse_norms, channels, columns, space, share)) return false;
      transpose(space, pairs_, kPanel, pairs_, panel, kPanel);
    }
    product<Pairs>(pointers_.data(), count, panel, kPanel, pairs_, kPanel, out, false);
    return true;
  }

  // By which a product of whole numbers is multiplied, for each row.
  const float* factors() const { return factors_.data(); }

  int64_t count = 0;

 private:
  // Vectors [columns, stride] as pairs [kPanel, pairs_], with zeros behind them.
  bool to_pair_rows(const float* from, int64_t stride, const float* inverse_norms, int64_t channels,
                    int64_t columns, float* space, float& share) const {
    float* rounded = space + pairs_ * kPanel;
    float* lost = rounded + 2 * pairs_;
    bool allowed = true;
    for (int64_t i = 0; i < columns; ++i) {
      float* pairs = space + i * pairs_;
      if (kWholePairs) {
        to_whole_pairs(from + i * stride, channels, kUnit * inverse_norms[i], pairs);
        continue;
      }
      if (!rounded_) {
        allowed = to_pairs(from + i * stride, channels, pairs) && allowed;
        continue;
      }
      round_to_pairs(from + i * stride, channels, rounded, pairs);
      std::memset(lost, 0, sizeof(float) * channels);
      add_lost(from + i * stride, channels, 1, lost);
      const float norm = std::sqrt(dot(lost, lost, channels));
      if (norm * inverse_norms[i] > share) share = norm * inverse_norms[i];
    }
    std::memset(space + columns * pairs_, 0, sizeof(float) * (kPanel - columns) * pairs_);
    return allowed;
  }

  void round(const float* const* rows, int64_t rows_in_all, int64_t channels) {
    Array<float> space(2 * pairs_);
    values_.resize(rows_in_all * pairs_);
    pointers_.resize(rows_in_all);
    factors_.resize(rows_in_all);
    for (; count < rows_in_all; ++count) {
      float* to = values_.data() + count * pairs_;
      pointers_[count] = to;
      if (!kWholePairs) {
        round_to_pairs(rows[count], channels, space.data(), to);
        continue;
      }
      const float norm = std::sqrt(dot(rows[count], rows[count], channels));
      const bool counts = norm > kLeastNorm;
      to_whole_pairs(rows[count], channels, counts ? kUnit / norm : 0, to);
      factors_[count] = counts ? norm / (kUnit * kUnit) : 0;
    }
  }

  void take(const float* const* rows, int64_t rows_in_all, int64_t channels) {
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

  // Shorter rows are nothing beside a position that has a direction.
  static constexpr float kLeastNorm = 1e-25f;

  int64_t pairs_;
  bool rounded_;
  Array<float> values_, factors_;
  Array<const float*> pointers_;
};

}  // namespace TROVID_ISA
