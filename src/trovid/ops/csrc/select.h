// The K most similar cells of every position (Eq. 2), without a similarity volume.
//
// RoIAlign is linear: <X(m), F(p)> is a combination of the few <row, F(p)> whose rows position m
// reads. So all rows are multiplied with 64 support cells at a time, and while those products lie
// in the cache every position combines its own and keeps the K best.
#pragma once

#include <cmath>

#include "product.h"
#include "sampling.h"

namespace TROVID_ISA {

// The positions of one video and the support frames that they search.
struct Search {
  const float* const* rows;  // [count_rows] vectors of `channels`
  int64_t count_rows;
  const Combination* combination;  // of those rows, for each position
  int64_t positions;
  const float* support;        // [frames, cells, channels]
  const float* inverse_norms;  // [frames, cells]
  int64_t frames, cells, channels, top_k;
};

// The best K so far of one position: values descending, equal ones by ascending index.
struct Best {
  float* value;
  int32_t* index;

  void clear(int64_t top_k) const {
    for (int64_t k = 0; k < top_k; ++k) {
      value[k] = -INFINITY;
      index[k] = 0;
    }
  }

  // Candidates must come by ascending index, so that an equal one stays behind.
  void insert(int64_t top_k, float candidate, int32_t at) const {
    int64_t k = top_k - 1;
    for (; k > 0 && value[k - 1] < candidate; --k) {
      value[k] = value[k - 1];
      index[k] = index[k - 1];
    }
    value[k] = candidate;
    index[k] = at;
  }
};

constexpr int kVecs = kPanel / kWidth;
constexpr int kHeld = kVecs < 8 ? kVecs : 8;

// Cells [first, first + count) of a panel, count <= kPanel, against all positions.
inline void select_in_panel(const Search& s, const float* products, const float* scales,
                            int64_t first, int64_t count, float* values, int32_t* indices) {
  const int64_t* begin = s.combination->begin.data();
  const int32_t* row = s.combination->row.data();
  const float* weight = s.combination->weight.data();
  const uint64_t valid = count < kPanel ? (uint64_t{1} << count) - 1 : ~uint64_t{0};
  alignas(64) float scaled[kPanel];
  for (int64_t m = 0; m < s.positions; ++m) {
    const Best best{values + m * s.top_k, indices + m * s.top_k};
    const Vec threshold = broadcast(best.value[s.top_k - 1]);
    uint64_t better = 0;
    for (int held = 0; held < kVecs; held += kHeld) {
      Vec sums[kHeld];
      for (int j = 0; j < kHeld; ++j) sums[j] = Vec{};
      for (int64_t e = begin[m]; e < begin[m + 1]; ++e) {
        const float* from = products + static_cast<int64_t>(row[e]) * kPanel + held * kWidth;
        const float factor = weight[e];
#pragma GCC unroll 8
        for (int j = 0; j < kHeld; ++j) sums[j] += factor * load(from + j * kWidth);
      }
      for (int j = 0; j < kHeld; ++j) {
        sums[j] *= load(scales + (held + j) * kWidth);
        better |= uint64_t{greater(sums[j], threshold)} << ((held + j) * kWidth);
        store(scaled + (held + j) * kWidth, sums[j]);
      }
    }
    for (better &= valid; better; better &= better - 1) {
      const int column = __builtin_ctzll(better);
      if (scaled[column] > best.value[s.top_k - 1])
        best.insert(s.top_k, scaled[column], static_cast<int32_t>(first + column));
    }
  }
}

// Panels [first_panel, last_panel) of one frame; values and indices are [positions, top_k].
inline void select_in_frame(const Search& s, int64_t frame, int64_t first_panel, int64_t last_panel,
                            float* workspace, float** out, float* values, int32_t* indices) {
  float* panel = workspace;
  float* products = workspace + s.channels * kPanel;
  for (int64_t r = 0; r < s.count_rows; ++r) out[r] = products + r * kPanel;
  for (int64_t m = 0; m < s.positions; ++m)
    Best{values + m * s.top_k, indices + m * s.top_k}.clear(s.top_k);
  for (int64_t at = first_panel; at < last_panel; ++at) {
    const int64_t first = at * kPanel;
    const int64_t count = s.cells - first < kPanel ? s.cells - first : kPanel;
    transpose(s.support + (frame * s.cells + first) * s.channels, s.channels, count, s.channels,
              panel, kPanel);
    if (count < kPanel)
      for (int64_t c = 0; c < s.channels; ++c)
        for (int64_t i = count; i < kPanel; ++i) panel[c * kPanel + i] = 0;
    product(s.rows, s.count_rows, panel, s.channels, count, out, false);
    float scales[kPanel] = {};
    std::memcpy(scales, s.inverse_norms + frame * s.cells + first, sizeof(float) * count);
    select_in_panel(s, products, scales, first, count, values, indices);
  }
}

// Fills, for each frame and position m, scores and indices at (frame * stride + place[m]) * top_k:
// the cosines and the cells. inverse_lengths[m] is 1 / |X(m)|, 0 for a vector of zero norm.
inline void select(const Search& s, const float* inverse_lengths, const int64_t* place,
                   int64_t stride, int64_t threads, float* scores, int32_t* indices) {
  const int64_t panels = panels_of(s.cells);
  int64_t parts = (4 * threads + s.frames - 1) / s.frames;
  if (threads == 1) parts = 1;
  if (parts > panels) parts = panels;
  const int64_t state = s.positions * s.top_k;
  const int64_t workspace = (s.channels + s.count_rows) * kPanel;
  Array<float> values(s.frames * parts * state), workspaces(threads * workspace);
  Array<int32_t> found(s.frames * parts * state);
  Array<float*> outs(threads * s.count_rows);
  parallel(s.frames * parts, threads, [&](int64_t task, int64_t thread) {
    const int64_t frame = task / parts, part = task % parts;
    select_in_frame(s, frame, panels * part / parts, panels * (part + 1) / parts,
                    workspaces.data() + thread * workspace, outs.data() + thread * s.count_rows,
                    values.data() + task * state, found.data() + task * state);
  });
  parallel(s.frames, threads, [&](int64_t frame, int64_t) {
    for (int64_t m = 0; m < s.positions; ++m) {
      const int64_t to = (frame * stride + place[m]) * s.top_k;
      const Best best{scores + to, indices + to};
      best.clear(s.top_k);
      for (int64_t part = 0; part < parts; ++part)
        for (int64_t k = 0; k < s.top_k; ++k) {
          const int64_t from = (frame * parts + part) * state + m * s.top_k + k;
          if (!(values[from] > best.value[s.top_k - 1])) break;
          best.insert(s.top_k, values[from], found[from]);
        }
      for (int64_t k = 0; k < s.top_k; ++k) best.value[k] *= inverse_lengths[m];
    }
  });
}

}  // namespace TROVID_ISA
