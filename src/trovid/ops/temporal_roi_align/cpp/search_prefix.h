// The search in prefixes: exact, and quick where a small basis holds most of what the cells are.
//
// For a position x and a unit cell c, <x, c> <= <Px, Pc> + |x - P'Px| |c - P'Pc|. Where this and what
// rounding can add are below the worst cosine that the position keeps, the cell is not among its
// best. The others are compared in all channels in float32; these products alone decide.
#pragma once

#include "kernels.h"
#include "prefix.h"
#include "select.h"

namespace TROVID_ISA {

// A video's basis and prefixes as they came with its support maps, or nothing.
struct Kept {
  const float* basis = nullptr;     // [width, channels]
  const float* prefixes = nullptr;  // [frames, cells, width]
  int64_t width = 0;
};

// Which prefixes a search used (0: none), and the share of pairs that it compared in all channels.
struct Report {
  int64_t width = 0;
  double share = 1;
};

// Costs in multiplications of a product in float32.
constexpr double kProductCost = !kHasPairs ? 1 : !kWholePairs ? 0.55 : kFused ? 0.5 : 0.65;
constexpr double kPairCost = 8;   // of a channel of a pair that is compared in all of them
constexpr double kPairBegin = 400;  // of such a pair beside that
constexpr double kCombineCost = 2;  // of an entry and a column
constexpr double kUsualPanels = 0.15;  // share that a search in all channels combines
constexpr double kWorst = 0.9;         // of the cost without prefixes, to be worth it
constexpr double kTrial = 0.04;        // of that cost, to find out
constexpr int64_t kPrefixSamples = 16;

// Prefixes of some frames and rows, and all that the bound needs.
struct PrefixSearch {
  const Search& exact;
  PrefixError error;
  Array<float> rows, residuals, slack, ones;
  Array<const float*> pointers;
  Remainder remainder;
  Search search;

  // The first m directions of prefixes [frames, cells, stride]; rows of the search are projected.
  PrefixSearch(const Search& s, const Projector& projector, const float* prefixes, int64_t stride,
               int64_t m, float defect, int64_t threads)
      : exact(s), error(m, s.channels, defect), rows(s.count_rows * m), residuals(s.positions),
        slack(s.positions), ones(s.frames * s.cells), pointers(s.count_rows),
        remainder{&s, residuals.data(), &error}, search(s) {
    projector.project(s.rows, s.count_rows, nullptr, m, rows.data(), m, threads);
    for (int64_t r = 0; r < s.count_rows; ++r) pointers[r] = rows.data() + r * m;
    ones.fill(s.frames * s.cells, 1);
    const int64_t blocks = (s.positions + 255) / 256;
    Array<float> space(threads * m);
    parallel(blocks, threads, [&](int64_t block, int64_t thread) {
      float* sum = space.data() + thread * m;
      for (int64_t p = block * 256; p < s.positions && p < (block + 1) * 256; ++p) {
        const int64_t begin = s.combination->begin[p], end = s.combination->begin[p + 1];
        std::memset(sum, 0, sizeof(float) * m);
        for (int64_t e = begin; e < end; ++e)
          add_scaled(sum, s.combination->weight[e], pointers[s.combination->row[e]], m);
        const float entries = static_cast<float>(end - begin + 8) * kHalfUlp;
        const float off = 1.02f * (error.prefix + 2 * entries) * s.bounds[p];
        const float length = s.inverse_lengths[p] == 0 ? 0 : 1 / s.inverse_lengths[p];
        residuals[p] = error.remainder(length, std::sqrt(dot(sum, sum, m)), off);
        slack[p] = 1.02f * s.bounds[p] * (error.product + error.norm + 4 * entries);
      }
    });
    search.rows = pointers.data();
    search.channels = m;
    search.support = prefixes;
    search.stride = stride;
    search.inverse_norms = ones.data();
    search.slack = slack.data();
    search.remainder = &remainder;
  }
  PrefixSearch(const PrefixSearch&) = delete;
  PrefixSearch& operator=(const PrefixSearch&) = delete;
};

// Some positions of a search, by their own vectors.
struct SampledPositions {
  Array<const float*> vectors;
  Array<float> inverse_lengths, bounds;
  Combination each;
  Search search;

  SampledPositions(const Search& s, int64_t most) : search(s) {
    const int64_t count = most < s.positions ? most : s.positions;
    vectors.resize(count);
    inverse_lengths.resize(count);
    bounds.resize(count);
    each.begin.resize(count + 1);
    each.row.resize(count);
    each.weight.resize(count);
    int64_t taken = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t m = (2 * i + 1) * s.positions / (2 * count);
      if (s.inverse_lengths[m] == 0) continue;
      vectors[taken] = s.vectors[m];
      inverse_lengths[taken] = s.inverse_lengths[m];
      bounds[taken] = 1 / s.inverse_lengths[m];
      each.row[taken] = static_cast<int32_t>(taken);
      each.weight[taken] = 1;
      each.begin[taken] = taken;
      ++taken;
    }
    each.begin[taken] = taken;
    search.rows = search.vectors = vectors.data();
    search.inverse_lengths = inverse_lengths.data();
    search.bounds = bounds.data();
    search.combination = &each;
    search.count_rows = search.positions = taken;
  }
};

// Counts for the model of costs, of one position and frame.
struct SampleCounts {
  double pairs = 0, panels = 0;
};

inline SampleCounts counts_of(const Search& sampled, const Projector& projector,
                              const float* prefixes, int64_t stride, int64_t m, float defect) {
  const PrefixSearch prefix(sampled, projector, prefixes, stride, m, defect, 1);
  Array<uint64_t> keys(sampled.positions * sampled.held);
  SearchSpace space(prefix.search);
  SampleCounts counts;
  const int64_t last = sampled.frames - 1;
  for (int64_t frame = 0; frame <= last; frame += last ? last : 1) {
    float share = 0;
    Counts found;
    const PairRows pairs(prefix.search.rows, sampled.positions, m, PairRows::kRounded);
    select_in_frame(prefix.search, pairs, frame, 0, panels_of(sampled.cells), space.floats.data(),
                    space.out.data(), keys.data(), share, found);
    const double all = static_cast<double>(sampled.positions) * (last ? 2 : 1);
    counts.pairs += static_cast<double>(found.pairs) / all;
    counts.panels += static_cast<double>(found.panels) / all;
  }
  return counts;
}

// Costs of a search of all frames without and with prefixes of m directions.
struct Costs {
  double rows, cells, frames, channels, positions, entries, columns, top_k;

  explicit Costs(const Search& s)
      : rows(s.count_rows), cells(s.cells), frames(s.frames), channels(s.channels),
        positions(s.positions), entries(s.combination->begin[s.positions]),
        columns(kPanel * panels_of(s.cells)), top_k(s.top_k) {}

  double without() const {
    return frames * (rows * cells * channels * kProductCost +
                     entries * columns * kUsualPanels * kCombineCost);
  }
  double with(double m, const SampleCounts& counts) const {
    return frames * (rows * cells * m * kProductCost +
                     positions * counts.pairs * (channels * kPairCost + kPairBegin) +
                     entries * counts.panels * kPanel * kCombineCost);
  }
  // What a position compares at the least.
  SampleCounts fewest() const { return {2 * top_k, 1}; }
  double projecting(double m) const { return frames * cells * channels * m; }
  double basis(double width) const {
    return kBasisSamples * channels * channels +
           kBasisSteps * width * channels * (channels + 6 * width);
  }
  // Two frames of a sample, and the check of a basis.
  double trial(double width) const {
    return 8 * width * width * channels + 2 * cells * width * 2 * kPrefixSamples;
  }
  // What all costs with prefixes must stay below.
  double lowest() const { return trovid_wanted_prefixes() > 0 ? INFINITY : kWorst * without(); }
  // Whether prefixes may be worth it, if making them costs so much, and `extra` for each direction.
  bool pays(double width, double making, double extra) const {
    const int64_t wanted = trovid_wanted_prefixes();
    if (wanted >= 0) return wanted > 0;
    const double narrowest = width / 4;
    return making + trial(width) < kTrial * without() &&
           making + extra * narrowest + with(narrowest, fewest()) < lowest();
  }
};

// All frames by prefixes of m directions.
inline void search_by_prefixes(const Search& exact, const Projector& projector,
                               const float* prefixes, int64_t stride, int64_t m, float defect,
                               int64_t parts, int64_t threads, const Found& found,
                               Report& report) {
  const PrefixSearch prefix(exact, projector, prefixes, stride, m, defect, threads);
  const PairRows pairs(prefix.search.rows, exact.count_rows, m, PairRows::kRounded);
  const int64_t state = parts * exact.positions * exact.held;
  Array<uint64_t> keys(exact.frames * state);
  float share = 0;
  Counts counts;
  select_in_frames(prefix.search, pairs, parts, threads, keys.data(), share, counts);
  parallel(exact.frames, threads, [&](int64_t frame, int64_t) {
    for (int64_t p = 0; p < exact.positions; ++p)
      found.set(exact, frame, p, best_of_parts(exact, keys.data() + frame * state, parts, p));
  });
  const double all = static_cast<double>(exact.positions) * exact.frames * exact.cells;
  report = {m, static_cast<double>(counts.pairs) / all};
}

// A basis with the prefixes of at least the first and the last frame.
struct Basis {
  const Projector projector;
  const float* prefixes;
  int64_t stride;
  float defect;

  Basis(const float* basis, const float* p, int64_t width, int64_t channels, int64_t threads)
      : projector(basis, width, channels), prefixes(p), stride(width),
        defect(defect_of(basis, width, channels, threads)) {}

  // The number of directions that cost least, beside `extra` for each; 0 where all cost more than
  // `lowest`.
  int64_t best(const Costs& costs, const Search& sampled, double extra, double lowest) const {
    if (!(defect < kLargestDefect)) return 0;
    const int64_t wanted = trovid_wanted_prefixes();
    if (wanted > 0) return wanted < stride ? wanted : stride;
    int64_t found = 0;
    for (int64_t m = stride / 4; m <= stride; m *= 2) {
      const auto directions = static_cast<double>(m);
      if (extra * directions + costs.with(directions, costs.fewest()) > lowest) break;
      const SampleCounts counts = counts_of(sampled, projector, prefixes, stride, m, defect);
      const double cost = extra * directions + costs.with(directions, counts);
      if (cost < lowest) lowest = cost, found = m;
    }
    return found;
  }
};

// Whether to make a basis and try it.
inline bool worth_trying(const Search& s) {
  const Costs costs(s);
  const auto width = static_cast<double>(widest_prefix(s.channels));
  return costs.pays(width, costs.basis(width), costs.projecting(1));
}

// Makes a basis [widest_prefix, channels] and tries it on the first and the last frame; of so many of
// its directions prefixes pay, 0 where they do not.
inline int64_t try_basis(const Search& exact, int64_t threads, float* made) {
  const int64_t channels = exact.channels, width = widest_prefix(channels), cells = exact.cells;
  const int64_t frame_size = cells * channels, ends = exact.frames < 2 ? exact.frames : 2;
  Array<float> maps(ends * frame_size), norms(ends * cells), prefixes(ends * cells * width);
  for (int64_t i = 0; i < ends; ++i) {
    const int64_t t = i * (exact.frames - 1);
    if (exact.gathered)
      transpose_all(exact.support + t * frame_size, 1, channels, cells, threads,
                    maps.data() + i * frame_size);
    else
      std::memcpy(maps.data() + i * frame_size, exact.support + t * frame_size,
                  sizeof(float) * frame_size);
    std::memcpy(norms.data() + i * cells, exact.inverse_norms + t * cells, sizeof(float) * cells);
  }
  SampledPositions sample(exact, kPrefixSamples);
  if (sample.search.positions == 0) return 0;
  sample.search.support = maps.data();
  sample.search.inverse_norms = norms.data();
  sample.search.frames = ends;
  sample.search.gathered = nullptr;
  make_basis(exact.support, exact.gathered, exact.inverse_norms, exact.frames, cells, channels,
             width, threads, made);
  const Basis basis(made, prefixes.data(), width, channels, threads);
  project_cells(basis.projector, maps.data(), norms.data(), ends * cells, width, prefixes.data(),
                width, threads);
  const Costs costs(exact);
  return basis.best(costs, sample.search, costs.projecting(1),
                    costs.lowest() - costs.basis(static_cast<double>(width)));
}

// Whether prefixes, which take rows, pay for support maps that come as planes.
inline bool prefixes_pay(const Search& s, int64_t threads) {
  Array<float> made(widest_prefix(s.channels) * s.channels);
  return try_basis(s, threads, made.data()) != 0;
}

// The search by prefixes where it pays; false, and nothing done, where it does not. A basis that was
// kept is taken where it is good enough, else one is made.
inline bool search_prefix(const Search& exact, const Kept& kept, int64_t parts, int64_t threads,
                          const Found& found, Report& report) {
  const int64_t channels = exact.channels, width = widest_prefix(channels);
  const Costs costs(exact);
  if (kept.prefixes && kept.width == width && costs.pays(static_cast<double>(width), 0, 0)) {
    const SampledPositions sample(exact, kPrefixSamples);
    const Basis basis(kept.basis, kept.prefixes, width, channels, threads);
    const int64_t m = sample.search.positions ? basis.best(costs, sample.search, 0, costs.lowest()) : 0;
    if (m) {
      search_by_prefixes(exact, basis.projector, kept.prefixes, width, m, basis.defect, parts,
                         threads, found, report);
      return true;
    }
  }
  if (!worth_trying(exact)) return false;
  Array<float> made(width * channels);
  const int64_t m = try_basis(exact, threads, made.data());
  if (!m) return false;
  Array<float> prefixes(exact.frames * exact.cells * m);
  const Basis basis(made.data(), prefixes.data(), width, channels, threads);
  project_cells(basis.projector, exact.support, exact.inverse_norms, exact.frames * exact.cells, m,
                prefixes.data(), m, threads);
  search_by_prefixes(exact, basis.projector, prefixes.data(), m, m, basis.defect, parts, threads,
                     found, report);
  return true;
}

}  // namespace TROVID_ISA
