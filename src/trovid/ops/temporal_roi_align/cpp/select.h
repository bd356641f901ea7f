// The K most similar cells of every position (Eq. 2), without a similarity volume.
//
// RoIAlign is linear: <X(m), F(p)> is a combination of the few <row, F(p)> whose rows position m
// reads. So all rows are multiplied with 64 support cells at a time, and while those products lie
// in the cache every position combines its own and keeps the K best.
#pragma once

#include <cmath>
#include <cstring>

#include "keys.h"
#include "pair_rows.h"
#include "prefix.h"
#include "sampling.h"

namespace TROVID_ISA {

struct Search;

// What a search in prefixes leaves open.
struct Remainder {
  const Search* exact;       // all channels, which decide
  const float* residuals;    // [positions], norms of what the prefixes leave of the positions
  const PrefixError* error;  // of the prefixes
};

// Pairs of position and cell that were compared in all channels, pairs of position and panel that
// were combined.
struct Counts {
  int64_t pairs = 0, panels = 0;
};

// The positions of one video and the support frames that they search.
struct Search {
  const float* const* rows;  // [count_rows] vectors of `channels`
  int64_t count_rows;
  const Combination* combination;  // of those rows, for each position
  int64_t positions;
  const float* const* vectors;   // [positions], what the combinations come to
  const float* inverse_lengths;  // [positions], 0 for a vector of zero norm
  const float* bounds;  // [positions]: the combination of the rows' norms
  const float* support;        // [frames, cells, channels], or planes
  const float* inverse_norms;  // [frames, cells]
  int64_t frames, cells, channels, top_k;
  // Cells that are kept: the K best or, where cosines may be off, more.
  int64_t held = top_k;
  // Where cosines may be off: by so much may a cell be below the K-th and yet be one of the best.
  const float* slack = nullptr;  // [positions]
  int64_t stride = channels;     // from cell to cell
  const Remainder* remainder = nullptr;
  GatheredCells* gathered = nullptr;  // of one frame, where support maps are planes
  float* open_norms = nullptr;  // [frames, cells], where they are found while cells are searched

  // A cell in all channels; of planes one that was gathered.
  const float* cell(int64_t frame, int64_t index) const {
    if (gathered) return gathered->rows() + gathered->place(frame, index) * channels;
    return support + (frame * cells + index) * stride;
  }
};

constexpr int kVecs = kPanel / kWidth;
constexpr int kHeld = kVecs < 8 ? kVecs : 8;
// More than rounding can put a combination of at most 1e4 terms above its bound.
constexpr float kRounding = 1e-3f;
// From so many candidates on, it pays to raise the threshold before they are inserted.
constexpr int kMany = 5;
// Positions whose bounds are looked at together.
constexpr int64_t kAtOnce = 64;
// Panels from one to the next: the best cells lie close together, so thresholds rise early.
constexpr int64_t kStride = 6;

// Scales the products of one panel's columns, or of whole numbers those of each row by its factor,
// and finds for each row and lane the largest of the columns that lie in this lane.
template <bool Whole>
inline void scale_rows(float* products, int64_t rows, const float* scales, float* largest) {
  for (int64_t r = 0; r < rows; ++r) {
    float* row = products + r * kPanel;
    Vec most = broadcast(-INFINITY);
#pragma GCC unroll 16
    for (int j = 0; j < kVecs; ++j) {
      const Vec value = Whole ? from_whole(load(row + j * kWidth)) * broadcast(scales[r])
                              : load(row + j * kWidth) * load(scales + j * kWidth);
      store(row + j * kWidth, value);
      most = greatest(most, value);
    }
    store(largest + r * kWidth, most);
  }
}

inline uint64_t at_least(const float* values, float threshold) {
  uint64_t mask = 0;
  for (int j = 0; j < kVecs; ++j)
    mask |= uint64_t{at_least(load(values + j * kWidth), broadcast(threshold))} << (j * kWidth);
  return mask;
}

// A value that at least K <= kWidth of a panel's values reach, less `slack`, and no lower than
// `threshold`: the least of the largest values of K or more groups of columns. Columns of a group
// lie apart, since the best lie together.
inline float raised(float threshold, const float* values, int64_t top_k, float slack) {
  float lanes[kWidth];
  Vec most = load(values);
  for (int j = 1; j < kVecs; ++j) most = greatest(most, load(values + j * kWidth));
  store(lanes, most);
  int64_t groups = kWidth;
  for (; groups / 2 >= top_k; groups /= 2)
    for (int64_t i = 0; i < groups / 2; ++i)
      lanes[i] = lanes[i] > lanes[i + groups / 2] ? lanes[i] : lanes[i + groups / 2];
  float least = lanes[0];
  for (int64_t i = 1; i < groups; ++i) least = lanes[i] < least ? lanes[i] : least;
  return least - slack > threshold ? least - slack : threshold;
}

// The norms of what the prefixes of a panel's cells leave of them; nothing where there are no
// prefixes.
struct Rests {
  int64_t row;  // of the first cell, among those of all frames
  alignas(64) float columns[kPanel] = {};
  Vec largest = {};  // of the columns that lie in a lane

  Rests(const Search& s, int64_t first_row, int64_t count) : row(first_row) {
    if (!s.remainder) return;
    const PrefixError& error = *s.remainder->error;
    for (int64_t i = 0; i < count; ++i) {
      const float* prefix = s.support + (row + i) * s.stride;
      const float length = std::sqrt(dot(prefix, prefix, s.channels));
      const bool has_direction = s.remainder->exact->inverse_norms[row + i] != 0;
      columns[i] = has_direction ? error.remainder(1, length, 1.02f * error.prefix + 4 * kHalfUlp) : 0;
    }
    for (int j = 0; j < kVecs; ++j) largest = greatest(largest, load(columns + j * kWidth));
  }
};

// Which positions [first, last) a panel may hold something for; returns how many. Weights are not
// negative, so that a position's combination of its rows' largest products of a lane bounds all of
// its cosines there, but for the order in which they are summed: where all bounds are below the
// worst cosine that it keeps, there is nothing.
inline int64_t within_bounds(const Search& s, const float* largest, const float* worst,
                             const Rests& rests, int64_t first, int64_t last, int32_t* found) {
  const int64_t* begin = s.combination->begin.data();
  const int32_t* row = s.combination->row.data();
  const float* weight = s.combination->weight.data();
  const auto most = [&](int64_t e) { return load(largest + int64_t{row[e]} * kWidth); };
  int64_t count = 0;
  for (int64_t m = first; m < last; ++m) {
    Vec even = {}, odd = {};
    int64_t e = begin[m];
    for (; e + 2 <= begin[m + 1]; e += 2) {
      even += weight[e] * most(e);
      odd += weight[e + 1] * most(e + 1);
    }
    if (e < begin[m + 1]) even += weight[e] * most(e);
    Vec bound = even + odd;
    if (s.remainder) bound += s.remainder->residuals[m] * rests.largest;
    found[count] = static_cast<int32_t>(m);
    const float sums = static_cast<float>(begin[m + 1] - begin[m] + 8) * 0x1p-22f;
    const Vec least = broadcast(worst[m] - sums * s.bounds[m]);
    count += at_least(bound + kRounding * greatest(bound, -bound), least) != 0;
  }
  return count;
}

// Compares the columns of a panel that may hold one of the best of position m in all channels, the
// most promising first.
inline void compare(const Search& s, const Rests& rests, const float* upper, uint64_t better,
                    int64_t first, int64_t m, uint64_t* own, float* worst, Counts& counts) {
  const Search& exact = *s.remainder->exact;
  uint64_t order[kPanel];
  int64_t count = 0;
  for (; better; better &= better - 1) {
    const int column = __builtin_ctzll(better);
    const uint64_t key = key_of(upper[column], column);
    int64_t at = count++;
    for (; at > 0 && order[at - 1] < key; --at) order[at] = order[at - 1];
    order[at] = key;
  }
  for (int64_t i = 0; i < count; ++i) {
    const int column = cell_of(order[i]);
    if (upper[column] < worst[m]) return;
    const int64_t row = rests.row + column;
    const float product =
        dot(exact.vectors[m], exact.support + row * exact.stride, exact.channels);
    insert(own, s.top_k, key_of(product * exact.inverse_norms[row], first + column));
    if (own[s.top_k - 1]) worst[m] = cosine_of(own[s.top_k - 1]) - s.slack[m];
    ++counts.pairs;
  }
}

// Cells [first, first + count) of a panel, count <= kPanel, against position m.
template <int Held, bool Prefix>
inline void select_at(const Search& s, const float* products, const Rests& rests, int64_t first,
                      int64_t count, int64_t m, uint64_t* keys, float* worst, Counts& counts) {
  const int64_t held_cells = Held ? Held : s.held;
  const float slack = s.slack ? s.slack[m] : 0;
  const int64_t begin = s.combination->begin[m], end = s.combination->begin[m + 1];
  const int32_t* row = s.combination->row.data();
  const float* weight = s.combination->weight.data();
  const Vec threshold = broadcast(worst[m]);
  const Vec residual = broadcast(Prefix ? s.remainder->residuals[m] : 0);
  alignas(64) float combined[kPanel];
  uint64_t better = 0;
  for (int held = 0; held < kVecs; held += kHeld) {
    Vec sums[kHeld];
#pragma GCC unroll 8
    for (int j = 0; j < kHeld; ++j) sums[j] = Vec{};
    for (int64_t e = begin; e < end; ++e) {
      const float* from = products + static_cast<int64_t>(row[e]) * kPanel + held * kWidth;
      const float factor = weight[e];
#pragma GCC unroll 8
      for (int j = 0; j < kHeld; ++j) sums[j] += factor * load(from + j * kWidth);
    }
#pragma GCC unroll 8
    for (int j = 0; j < kHeld; ++j) {
      if (Prefix) sums[j] += residual * load(rests.columns + (held + j) * kWidth);
      better |= uint64_t{at_least(sums[j], threshold)} << ((held + j) * kWidth);
      store(combined + (held + j) * kWidth, sums[j]);
    }
  }
  if (count < kPanel) better &= (uint64_t{1} << count) - 1;
  if (!better) return;
  if (Prefix) {
    compare(s, rests, combined, better, first, m, keys + m * held_cells, worst, counts);
    return;
  }
  if (count == kPanel && s.top_k <= kWidth && __builtin_popcountll(better) > kMany)
    better = at_least(combined, raised(worst[m], combined, s.top_k, slack));
  uint64_t* own = keys + m * held_cells;
  for (; better; better &= better - 1) {
    const int column = __builtin_ctzll(better);
    insert(own, held_cells, key_of(combined[column], first + column));
  }
  if (own[held_cells - 1]) worst[m] = cosine_of(own[held_cells - 1]);
  if (!s.slack || !own[s.top_k - 1]) return;
  const float least = cosine_of(own[s.top_k - 1]) - slack;
  if (least > worst[m]) worst[m] = least;
}

// The same against all positions.
template <int Held, bool Prefix>
inline void select_in_panel(const Search& s, const float* products, const float* largest,
                            const Rests& rests, int64_t first, int64_t count, uint64_t* keys,
                            float* worst, Counts& counts) {
  int32_t within[kAtOnce];
  for (int64_t m = 0; m < s.positions; m += kAtOnce) {
    const int64_t last = m + kAtOnce < s.positions ? m + kAtOnce : s.positions;
    const int64_t found = within_bounds(s, largest, worst, rests, m, last, within);
    counts.panels += found;
    for (int64_t i = 0; i < found; ++i)
      select_at<Held, Prefix>(s, products, rests, first, count, within[i], keys, worst, counts);
  }
}

// Panels [first_panel, last_panel) of one frame; keys are [positions, held]. `pairs` are the first
// of the rows; returns false where the frame does not allow these. `share` is raised to what rounding
// takes of a cell.
inline bool select_in_frame(const Search& s, const PairRows& pairs, int64_t frame,
                            int64_t first_panel, int64_t last_panel, float* workspace, float** out,
                            uint64_t* keys, float& share, Counts& counts) {
  float* panel = workspace;
  float* products = panel + PairRows::space(s.channels);
  float* largest = products + s.count_rows * kPanel;
  float* worst = largest + s.count_rows * kWidth;
  for (int64_t r = 0; r < s.count_rows; ++r) out[r] = products + r * kPanel;
  // What has no direction looks for nothing.
  for (int64_t m = 0; m < s.positions; ++m)
    worst[m] = s.remainder && s.inverse_lengths[m] == 0 ? INFINITY : -INFINITY;
  std::memset(keys, 0, sizeof(uint64_t) * s.positions * s.held);
  const int64_t panels = last_panel - first_panel, others = s.count_rows - pairs.count;
  for (int64_t i = 0, at = first_panel; i < panels; ++i) {
    const int64_t first = at * kPanel;
    const int64_t count = s.cells - first < kPanel ? s.cells - first : kPanel;
    const float* cells = s.gathered ? s.support + frame * s.cells * s.channels + first
                                    : s.support + (frame * s.cells + first) * s.stride;
    const float* norms = s.inverse_norms + frame * s.cells + first;
    if (pairs.count && !pairs.multiply(cells, s.gathered ? s.cells : s.stride, s.gathered, norms,
                                       s.channels, count, panel, out, share))
      return false;
    if (others) {
      if (s.gathered) {
        alignas(64) float parts[kNormParts * kPanel] = {};
        copy_panel(cells, s.cells, s.channels, count, panel, s.open_norms ? parts : nullptr);
        if (s.open_norms) {
          float* found = s.open_norms + frame * s.cells + first;
          for (int64_t j = 0; j < count; ++j) found[j] = inverse_norm(parts + j, kPanel);
          check_cells(cells, norms, count, 1, s.channels, s.cells);
        }
      } else {
        transpose(cells, s.stride, count, s.channels, panel, kPanel);
        for (int64_t c = 0; count < kPanel && c < s.channels; ++c)
          std::memset(panel + c * kPanel + count, 0, sizeof(float) * (kPanel - count));
      }
      product(s.rows + pairs.count, others, panel, kPanel, s.channels, kPanel, out + pairs.count,
              false);
    }
    if (kWholePairs && pairs.count) {
      scale_rows<true>(products, s.count_rows, pairs.factors(), largest);
    } else {
      float scales[kPanel] = {};
      std::memcpy(scales, norms, sizeof(float) * count);
      scale_rows<false>(products, s.count_rows, scales, largest);
    }
    const Rests rests(s, frame * s.cells + first, count);
    const auto among = [&](auto run) {
      run(s, products, largest, rests, first, count, keys, worst, counts);
    };
    if (s.remainder)
      among(select_in_panel<0, true>);
    else if (s.held == 4)
      among(select_in_panel<4, false>);
    else if (s.held == 8)
      among(select_in_panel<8, false>);
    else if (s.held == 16)
      among(select_in_panel<16, false>);
    else
      among(select_in_panel<0, false>);
    at += kStride;
    if (at >= last_panel) at = first_panel + (at - first_panel) % kStride + 1;
  }
  return true;
}

// What one thread needs to search a frame.
struct SearchSpace {
  Array<float> floats;
  Array<float*> out;

  explicit SearchSpace(const Search& s)
      : floats(PairRows::space(s.channels) + s.count_rows * (kPanel + kWidth) + s.positions),
        out(s.count_rows) {}
};

// All frames in parts of their panels: keys [frames, parts, positions, held]; false where a frame
// does not allow the pairs. Leaves in `share` what rounding takes of a cell, at the most.
inline bool select_in_frames(const Search& s, const PairRows& pairs, int64_t parts, int64_t threads,
                             uint64_t* keys, float& share, Counts& counts) {
  const int64_t panels = panels_of(s.cells);
  PerThread<SearchSpace> spaces(threads, s);
  Array<bool> done(s.frames * parts);
  Array<float> shares(s.frames * parts);
  shares.fill(s.frames * parts, 0);
  Array<Counts> counted(s.frames * parts);
  counted.fill(s.frames * parts, Counts());
  parallel(s.frames * parts, threads, [&](int64_t task, int64_t thread) {
    const int64_t frame = task / parts, part = task % parts;
    done[task] = select_in_frame(s, pairs, frame, panels * part / parts,
                                 panels * (part + 1) / parts, spaces[thread].floats.data(),
                                 spaces[thread].out.data(), keys + task * s.positions * s.held,
                                 shares[task], counted[task]);
  });
  share = 0;
  for (int64_t task = 0; task < s.frames * parts; ++task) {
    if (!done[task]) return false;
    counts.pairs += counted[task].pairs;
    counts.panels += counted[task].panels;
    if (shares[task] > share) share = shares[task];
  }
  return true;
}

// The best of all parts [parts, positions, held] of one frame for position m, in the first part's
// place.
inline const uint64_t* best_of_parts(const Search& s, uint64_t* keys, int64_t parts, int64_t m) {
  uint64_t* best = keys + m * s.held;
  for (int64_t part = 1; part < parts; ++part)
    for (int64_t k = 0; k < s.held; ++k)
      insert(best, s.held, best[part * s.positions * s.held + k]);
  return best;
}

// Where the results of a search go: scores and indices [frames, stride, top_k], position m at
// place[m].
struct Found {
  const int64_t* place;
  int64_t stride;
  float* scores;
  int32_t* indices;

  // A vector of zero norm has cosine 0 with all cells, and chooses the first.
  void set(const Search& s, int64_t frame, int64_t m, const uint64_t* best) const {
    const int64_t to = (frame * stride + place[m]) * s.top_k;
    const bool has_direction = s.inverse_lengths[m] != 0;
    for (int64_t k = 0; k < s.top_k; ++k) {
      scores[to + k] = has_direction ? cosine_of(best[k]) * s.inverse_lengths[m] : 0;
      indices[to + k] = has_direction ? cell_of(best[k]) : static_cast<int32_t>(k);
    }
  }
};

}  // namespace TROVID_ISA
