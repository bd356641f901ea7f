// How a video is searched: by pairs of 16-bit numbers where this is exact or can be made so.
//
// With d what rounding takes, |x . c - x' . c'| <= |d(x)| |c| + |x'| |d(c)|, and the d of a position
// is the combination of those of its rows: rounded maps tell the cosines up to a known bound. All
// cells that are not further below the K-th best than twice this bound are kept, of which there are
// seldom more than a few, and their cosines are computed again in float32. A position with too many
// of them is searched in float32, and so are all where a sample of them has too many.
#pragma once

#include "search_prefix.h"

namespace TROVID_ISA {

constexpr int64_t kWorthPairs = kWholePairs ? 192 : 64;  // rows from which pairs pay
constexpr int64_t kSpare = kWholePairs ? 4 : 12;  // cells that are kept beside the K best
constexpr int64_t kSamples = 16;  // of a frame
constexpr int64_t kTogether = 64;  // positions of one task

// |d(x)| of all positions.
inline void lost_of(const Search& s, int64_t threads, float* lost) {
  if (kWholePairs) {
    scale_into(lost, whole_lost(s.channels), s.bounds, s.positions);
    return;
  }
  Array<float> space(threads * s.channels);
  parallel((s.positions + kTogether - 1) / kTogether, threads, [&](int64_t block, int64_t thread) {
    float* sum = space.data() + thread * s.channels;
    for (int64_t m = block * kTogether; m < (block + 1) * kTogether && m < s.positions; ++m) {
      std::memset(sum, 0, sizeof(float) * s.channels);
      for (int64_t e = s.combination->begin[m]; e < s.combination->begin[m + 1]; ++e)
        add_lost(s.rows[s.combination->row[e]], s.channels, s.combination->weight[e], sum);
      lost[m] = std::sqrt(dot(sum, sum, s.channels));
    }
  });
}

// By how much a cell may be below the K-th best of each position in a rounded search and yet be one
// of the best, if rounding takes at most `share` of any cell.
inline void slack_of(const Search& s, const float* lost, float share, float* slack) {
  const int64_t* begin = s.combination->begin.data();
  for (int64_t m = 0; m < s.positions; ++m) {
    // The sums of float32 round as well.
    const float sums = static_cast<float>(s.channels + begin[m + 1] - begin[m]) * 0x1p-22f;
    const float length = s.inverse_lengths[m] == 0 ? 0 : 1 / s.inverse_lengths[m];
    slack[m] = 2.01f * (lost[m] + (length + lost[m]) * share + s.bounds[m] * sums);
  }
}

// Some positions of one frame in float32, by their own vectors: keys [count, held].
inline void search_by_vectors(const Search& s, int64_t frame, const int32_t* positions,
                              int64_t count, uint64_t* keys) {
  Search own = s;
  Combination each;
  Array<const float*> vectors(count);
  Array<float> slack(count), bounds(count);
  each.begin.resize(count + 1);
  each.row.resize(count);
  each.weight.resize(count);
  each.weight.fill(count, 1);
  for (int64_t i = 0; i <= count; ++i) each.begin[i] = i;
  for (int64_t i = 0; i < count; ++i) {
    each.row[i] = static_cast<int32_t>(i);
    vectors[i] = s.vectors[positions[i]];
    bounds[i] = s.bounds[positions[i]];
    if (s.slack) slack[i] = s.slack[positions[i]];
  }
  own.bounds = bounds.data();
  own.rows = vectors.data();
  own.combination = &each;
  own.count_rows = own.positions = count;
  if (s.slack) own.slack = slack.data();
  SearchSpace space(own);
  float share = 0;
  Counts counts;
  select_in_frame(own, PairRows(nullptr, 0, s.channels, PairRows::kNone), frame, 0,
                  panels_of(s.cells), space.floats.data(), space.out.data(), keys, share, counts);
}

// Whether more cells than those held for position m may be among its best.
inline bool is_crowded(const Search& s, int64_t m, const uint64_t* held) {
  return held[s.held - 1] &&
         cosine_of(held[s.held - 1]) >= cosine_of(held[s.top_k - 1]) - s.slack[m];
}

// Whether rounding pays: at most one of eight samples of the first and the last frame is crowded, and
// fewer where there are many positions for each row, since a crowded one is searched by its own.
inline bool rounding_pays(const Search& s, int64_t threads) {
  const int64_t count = kSamples < s.positions ? kSamples : s.positions;
  Array<int32_t> samples(count);
  for (int64_t i = 0; i < count; ++i)
    samples[i] = static_cast<int32_t>((2 * i + 1) * s.positions / (2 * count));
  Array<uint64_t> keys(2 * count * s.held);
  parallel(2, threads, [&](int64_t i, int64_t) {
    search_by_vectors(s, i * (s.frames - 1), samples.data(), count,
                      keys.data() + i * count * s.held);
  });
  int64_t crowded = 0;
  for (int64_t i = 0; i < 2 * count; ++i) {
    const int64_t m = samples[i % count];
    crowded += s.inverse_lengths[m] != 0 && is_crowded(s, m, keys.data() + i * s.held);
  }
  const int64_t rows = s.count_rows < s.positions ? s.count_rows : s.positions;
  return 8 * crowded <= 2 * count && 4 * crowded * s.positions <= 2 * count * rows;
}

// Of the cells that a rounded search holds for position m, how many may be among its K best.
inline int64_t near_best(const Search& s, int64_t m, const uint64_t* held) {
  const float least = cosine_of(held[s.top_k - 1]) - s.slack[m];
  int64_t count = 0;
  while (count < s.held && held[count] && cosine_of(held[count]) >= least) ++count;
  return count;
}

// From the cells that a rounded search holds for position m to the K best.
inline void decide(const Search& s, int64_t frame, int64_t m, const uint64_t* held,
                   uint64_t* best) {
  std::memset(best, 0, sizeof(uint64_t) * s.top_k);
  const int64_t count = near_best(s, m, held);
  for (int64_t k = 0; k < count; ++k) {
    const int32_t cell = cell_of(held[k]);
    if (k + 1 < count) fetch(s.cell(frame, cell_of(held[k + 1])), s.channels);
    const float product = dot(s.vectors[m], s.cell(frame, cell), s.channels);
    insert(best, s.top_k, key_of(product * s.inverse_norms[frame * s.cells + cell], cell));
  }
}

// Wants those cells of planes among which the positions that are not settled are to `decide`: keys
// [frames, state], of which the first part holds the best.
inline void want(const Search& s, const uint64_t* keys, int64_t state, const bool* settled,
                 int64_t threads) {
  parallel(s.frames, threads, [&](int64_t frame, int64_t) {
    for (int64_t m = 0; m < s.positions; ++m) {
      if (settled[frame * s.positions + m]) continue;
      const uint64_t* held = keys + frame * state + m * s.held;
      for (int64_t k = near_best(s, m, held) - 1; k >= 0; --k)
        s.gathered->want(frame, cell_of(held[k]));
    }
  });
}

// Some positions of one frame in float32: by their own vectors or, where these are more than the
// rows, all by the rows.
inline void search_again(const Search& s, int64_t frame, const int32_t* positions, int64_t count,
                         const Found& found) {
  const bool by_rows = count > s.count_rows;
  Array<uint64_t> keys((by_rows ? s.positions : count) * s.held);
  if (by_rows) {
    SearchSpace space(s);
    float share = 0;
    Counts counts;
    select_in_frame(s, PairRows(nullptr, 0, s.channels, PairRows::kNone), frame, 0,
                    panels_of(s.cells), space.floats.data(), space.out.data(), keys.data(), share,
                    counts);
  } else {
    search_by_vectors(s, frame, positions, count, keys.data());
  }
  for (int64_t i = 0; i < count; ++i)
    found.set(s, frame, positions[i], keys.data() + (by_rows ? positions[i] : i) * s.held);
}

// Whether a search by rounded maps may pay: its samples cost what some rows cost, and turning a cell
// into pairs what its products with some rows save.
inline bool may_round(const Search& s) {
  return kHasPairs && s.count_rows >= kWorthPairs && s.count_rows * s.frames >= 64 * kSamples;
}

// Whether a search by pairs that round nothing may be possible.
inline bool may_be_exact_pairs(const Search& s) {
  return kHasPairs && !kWholePairs && s.count_rows >= kWorthPairs;
}

// A search by rounded maps, made exact; false, and nothing done, where it does not pay.
inline bool search_rounded(const Search& exact, int64_t parts, int64_t threads,
                           const Found& found) {
  if (!may_round(exact)) return false;
  const PairRows pairs(exact.rows, exact.count_rows, exact.channels, PairRows::kRounded);
  Array<float> slack(exact.positions), lost(exact.positions);
  lost_of(exact, threads, lost.data());
  Search s = exact;
  s.held = s.top_k + kSpare;
  s.slack = slack.data();
  slack_of(s, lost.data(), kWholePairs ? whole_lost(s.channels) : kMostLost, slack.data());
  if (!rounding_pays(s, threads)) return false;
  const int64_t state = parts * s.positions * s.held;
  Array<uint64_t> keys(s.frames * state);
  float share = 0;
  Counts counts;
  select_in_frames(s, pairs, parts, threads, keys.data(), share, counts);
  slack_of(s, lost.data(), share, slack.data());
  Array<bool> settled(s.frames * s.positions), crowded(s.frames * s.positions);
  PerThread<Array<uint64_t>> best(threads, s.top_k);
  const auto decide_at = [&](int64_t frame, int64_t m, int64_t thread) {
    uint64_t* own = best[thread].data();
    decide(s, frame, m, keys.data() + frame * state + m * s.held, own);
    found.set(s, frame, m, own);
  };
  // Frame after frame: neighbouring positions keep the same cells.
  const int64_t blocks = (s.positions + kTogether - 1) / kTogether;
  const auto each = [&](int64_t first_frame, int64_t frames, auto use) {
    parallel(frames * blocks, threads, [&](int64_t task, int64_t thread) {
      const int64_t frame = first_frame + task / blocks, first = task % blocks * kTogether;
      for (int64_t m = first; m < first + kTogether && m < s.positions; ++m)
        use(frame, m, thread);
    });
  };
  each(0, s.frames, [&](int64_t frame, int64_t m, int64_t thread) {
    const uint64_t* held = best_of_parts(s, keys.data() + frame * state, parts, m);
    const int64_t at = frame * s.positions + m;
    const bool has_direction = s.inverse_lengths[m] != 0;
    crowded[at] = has_direction && is_crowded(s, m, held);
    settled[at] = crowded[at] || !has_direction;
    if (!has_direction)
      found.set(s, frame, m, held);
    else if (!s.gathered && !settled[at])
      decide_at(frame, m, thread);
  });
  parallel(s.frames, threads, [&](int64_t frame, int64_t) {
    Array<int32_t> left(s.positions);
    int64_t count = 0;
    for (int64_t m = 0; m < s.positions; ++m)
      if (crowded[frame * s.positions + m]) left[count++] = static_cast<int32_t>(m);
    if (count) search_again(exact, frame, left.data(), count, found);
  });
  if (!s.gathered) return true;
  want(s, keys.data(), state, settled.data(), threads);
  for (int64_t t = 0; t < s.frames; ++t) {
    s.gathered->number(t, 1);
    s.gathered->gather(t, 1, 0, s.channels, threads);
    each(t, 1, [&](int64_t frame, int64_t m, int64_t thread) {
      if (!settled[frame * s.positions + m]) decide_at(frame, m, thread);
    });
  }
  return true;
}

// The K best cells of all positions in all frames.
inline Report search(const Search& s, const Kept& kept, int64_t threads, const Found& found) {
  const int64_t panels = panels_of(s.cells);
  int64_t parts = (4 * threads + s.frames - 1) / s.frames;
  if (threads == 1) parts = 1;
  if (parts > panels) parts = panels;
  const int64_t state = parts * s.positions * s.held;
  const auto run = [&](PairRows::Kind kind) {
    const PairRows pairs(s.rows, s.count_rows, s.channels, kind);
    if (kind == PairRows::kExact && pairs.count == 0) return false;
    Array<uint64_t> keys(s.frames * state);
    float share = 0;
    Counts counts;
    if (!select_in_frames(s, pairs, parts, threads, keys.data(), share, counts)) return false;
    parallel(s.frames, threads, [&](int64_t frame, int64_t) {
      for (int64_t m = 0; m < s.positions; ++m)
        found.set(s, frame, m, best_of_parts(s, keys.data() + frame * state, parts, m));
    });
    return true;
  };
  Report report;
  if (!s.gathered && search_prefix(s, kept, parts, threads, found, report)) return report;
  if (may_be_exact_pairs(s) && run(PairRows::kExact)) return report;
  if (!search_rounded(s, parts, threads, found)) run(PairRows::kNone);
  return report;
}

}  // namespace TROVID_ISA
