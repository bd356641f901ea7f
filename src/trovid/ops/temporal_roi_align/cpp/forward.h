// The forward pass: RoIAlign, choice, attention, video after video.
#pragma once

#include "attention.h"
#include "kernels.h"
#include "search_squares.h"

namespace TROVID_ISA {

// Where a position is much shorter than the cells it combines, it is compared by its own vector,
// not by its cells: their products would cancel.
constexpr float kCancellation = 0.1f;

inline bool is_finite(const float* values, int64_t count) {
  Vec nothing = {};
  float left_over = 0;
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    const Vec value = load(values + i);
    nothing += value - value;
  }
  for (; i < count; ++i) left_over += values[i] - values[i];
  return sum(nothing) + left_over == 0;
}

inline float checked_norm(const float* vector, int64_t channels) {
  const float norm = std::sqrt(dot(vector, vector, channels));
  if (!(norm < kLargestNorm)) throw OutOfRange();
  return norm;
}

// Blocks of the map along each axis.
constexpr int64_t kBlocks = 32;

// Where on a Z curve over the blocks of the map the centre of a box lies, in [0, kBlocks^2).
inline int64_t place_of(const trovid_problem& p, const float* box) {
  const auto block = [&](float low, float high, int64_t cells) {
    const float centre = (low + high) / 2 * p.spatial_scale * kBlocks / static_cast<float>(cells);
    if (!(centre > 0)) return int64_t{0};
    return centre < kBlocks - 1 ? static_cast<int64_t>(centre) : kBlocks - 1;
  };
  const int64_t x = block(box[1], box[3], p.width), y = block(box[2], box[4], p.height);
  int64_t place = 0;
  for (int64_t bit = 0; int64_t{1} << bit < kBlocks; ++bit)
    place |= (x >> bit & 1) << 2 * bit | (y >> bit & 1) << (2 * bit + 1);
  return place;
}

// RoIs and frames of one video. RoIs come in the order of their places, so that the cells which one
// has read are still in the cache for the next.
struct VideoPart {
  int64_t video, first_frame, frames, count;
  Array<int64_t> rois;  // [count]

  VideoPart(const trovid_problem& p, int64_t v) : video(v), first_frame(0), frames(p.lengths[v]) {
    for (int64_t i = 0; i < v; ++i) first_frame += p.lengths[i];
    int64_t begin[kBlocks * kBlocks + 1] = {};
    const auto each = [&](auto use) {
      for (int64_t r = 0; r < p.num_rois; ++r)
        if (static_cast<int64_t>(p.rois[r * 5]) == v) use(r, place_of(p, p.rois + r * 5));
    };
    each([&](int64_t, int64_t place) { ++begin[place + 1]; });
    for (int64_t i = 0; i < kBlocks * kBlocks; ++i) begin[i + 1] += begin[i];
    count = begin[kBlocks * kBlocks];
    rois.resize(count);
    each([&](int64_t r, int64_t place) { rois[begin[place]++] = r; });
  }
};

// RoIAlign of one video into sets [M, C]; also each position's 1 / |X|, the combination of its cells'
// norms, and whether these cancel.
inline void pool(const trovid_problem& p, const VideoPart& part, const Combination& cells,
                 float* sets, float* inverse_lengths, float* bounds, bool* cancels) {
  const int64_t area = p.grid_height * p.grid_width, size = p.height * p.width;
  const float* map = p.features + part.video * size * p.channels;
  Array<float> norms(size);
  bool in_range = true;
  parallel((size + 255) / 256, p.threads, [&](int64_t task, int64_t) {
    for (int64_t i = task * 256; i < size && i < (task + 1) * 256; ++i)
      norms[i] = std::sqrt(dot(map + i * p.channels, map + i * p.channels, p.channels));
  });
  for (int64_t i = 0; i < size; ++i) in_range = in_range && norms[i] < kLargestNorm;
  if (!in_range) throw OutOfRange();
  parallel(part.count, p.threads, [&](int64_t r, int64_t) {
    for (int64_t m = r * area; m < (r + 1) * area; ++m) {
      const int64_t first = cells.begin[m], count = cells.begin[m + 1] - first;
      float* to = sets + (part.rois[r] * area + m - r * area) * p.channels;
      gather(map, p.channels, cells.row.data() + first, cells.weight.data() + first, count,
             p.channels, to);
      bounds[m] = 0;
      for (int64_t e = first; e < first + count; ++e)
        bounds[m] += cells.weight[e] * norms[cells.row[e]];
      const float norm = std::sqrt(dot(to, to, p.channels));
      inverse_lengths[m] = norm > kSmallestNorm ? 1 / norm : 0;
      cancels[m] = norm < kCancellation * bounds[m];
    }
  });
}

// Which rows the search multiplies, and how positions combine them.
struct Rows {
  Array<const float*> pointers;
  int64_t count = 0;
  Combination combination;
};

// Rows are the cells in use where they are fewer, else (or where cells cancel) the positions.
inline void choose_rows(const trovid_problem& p, const VideoPart& part, const UsedCells& used,
                        const float* const* vectors, const float* inverse_lengths,
                        const bool* cancels, const float* zeros, float* bounds, Rows& rows) {
  const Combination& cells = used.combination;
  const int64_t positions = used.positions, entries = used.entries();
  const float* map = p.features + part.video * p.height * p.width * p.channels;
  // Combining an entry for one support cell costs about as much as four multiplications.
  const bool by_cells = used.count * p.channels + 4 * entries < positions * p.channels;
  rows.pointers.resize(used.count + positions);
  rows.combination.begin.resize(positions + 1);
  rows.combination.row.resize(entries + positions);
  rows.combination.weight.resize(entries + positions);
  if (by_cells)
    for (; rows.count < used.count; ++rows.count)
      rows.pointers[rows.count] = map + used.cell_of[rows.count] * p.channels;
  int64_t at = 0;
  for (int64_t m = 0; m < positions; ++m) {
    rows.combination.begin[m] = at;
    if (by_cells && !cancels[m]) {
      for (int64_t e = cells.begin[m]; e < cells.begin[m + 1]; ++e) {
        rows.combination.row[at] = used.row_of[cells.row[e]];
        rows.combination.weight[at++] = cells.weight[e];
      }
      continue;
    }
    rows.combination.row[at] = static_cast<int32_t>(rows.count);
    rows.combination.weight[at++] = 1;
    const bool has_direction = inverse_lengths[m] != 0;
    rows.pointers[rows.count++] = has_direction ? vectors[m] : zeros;
    bounds[m] = has_direction ? 1 / inverse_lengths[m] : 0;
  }
  rows.combination.begin[positions] = at;
}

inline void softmax_of_all(const trovid_problem& p, const VideoPart& part, int64_t stride,
                           const float* scores, float* weights) {
  const int64_t area = p.grid_height * p.grid_width;
  parallel(part.count, p.threads, [&](int64_t r, int64_t) {
    for (int64_t t = 0; t < part.frames; ++t)
      for (int64_t m = 0; m < area; ++m) {
        const int64_t at = (t * stride + part.rois[r] * area + m) * p.top_k;
        softmax(scores + at, p.top_k, weights + at);
      }
  });
}

// The cells of a video's support maps, for search and attention.
class SupportCells {
 public:
  SupportCells(const trovid_problem& p, const VideoPart& part)
      : p_(p), part_(part), maps_(p.rows + part.first_frame * p.cells * p.channels),
        gathered_(maps_, part.frames, p.channels, p.cells) {}

  // The search with its support: planes where they may stay so, else rows. Norms of planes are not
  // given: they are found beforehand, or on the way where every cell passes by in float32.
  Search among(Search s) {
    s.support = maps_;
    if (!p_.planes) return s;
    norms_.resize(part_.frames * p_.cells);
    s.inverse_norms = norms_.data();
    const bool whole = p_.square == 1, tries = whole && worth_trying(s);
    if (whole && !tries && s.count_rows && !may_round(s) && !may_be_exact_pairs(s))
      s.open_norms = norms_.data();
    else
      find_norms();
    s.gathered = &gathered_;
    if (whole && !(tries && prefixes_pay(s, p_.threads))) {
      gathered_.begin();
      are_gathered_ = true;
      return s;
    }
    s.gathered = nullptr;
    made_.resize(part_.frames * p_.cells * p_.channels);
    transpose_all(maps_, part_.frames, p_.channels, p_.cells, p_.threads, made_.data());
    s.support = maps_ = made_.data();
    return s;
  }

  // What the positions chose, after the search; `weights` are the softmax of their scores.
  Chosen chosen(const int32_t* indices, const float* weights) {
    const int64_t area = p_.grid_height * p_.grid_width, stride = p_.num_rois * area;
    Chosen all{maps_, indices, weights, part_.frames, p_.cells, p_.channels, stride, p_.top_k};
    if (!are_gathered_) return all;
    const auto each = [&](int64_t t, auto use) {
      for (int64_t r = 0; r < part_.count; ++r) {
        const int64_t first = (t * stride + part_.rois[r] * area) * p_.top_k;
        for (int64_t i = first; i < first + area * p_.top_k; ++i) use(i);
      }
    };
    gathered_.begin();
    parallel(part_.frames, p_.threads, [&](int64_t t, int64_t) {
      each(t, [&](int64_t i) { gathered_.want(t, indices[i]); });
    });
    gathered_.number(0, part_.frames);
    places_.resize(part_.frames * stride * p_.top_k);
    parallel(part_.frames, p_.threads, [&](int64_t t, int64_t) {
      each(t, [&](int64_t i) { places_[i] = gathered_.place(t, indices[i]); });
    });
    all.indices = places_.data();
    all.cells = 0;  // places count through all frames
    return all;
  }

  // Makes `width` channels from `channel` on of what was chosen ready to be read.
  void hold(int64_t channel, int64_t width, Chosen& chosen) {
    if (!are_gathered_) return;
    gathered_.gather(0, part_.frames, channel, width, p_.threads);
    chosen.support = gathered_.rows();
    chosen.channels = width;
    chosen.first_channel = channel;
  }

 private:
  void find_norms() {
    inverse_norms_of(maps_, part_.frames, p_.channels, p_.cells, true, p_.threads, norms_.data());
    for (int64_t t = 0; t < part_.frames; ++t)
      check_cells(maps_ + t * p_.cells * p_.channels, norms_.data() + t * p_.cells, p_.cells, 1,
                  p_.channels, p_.cells);
  }

  const trovid_problem& p_;
  const VideoPart& part_;
  const float* maps_;
  Array<float> norms_;
  GatheredCells gathered_;
  bool are_gathered_ = false;
  Array<float> made_;
  Array<int32_t> places_;
};

// The choice of all positions of a video.
inline Report choose(const trovid_problem& p, const VideoPart& part, const UsedCells& used,
                     SupportCells& support, float* sets, float* scores, int32_t* indices) {
  const int64_t area = p.grid_height * p.grid_width, positions = used.positions;
  Array<float> inverse_lengths(positions), bounds(positions), zeros(p.channels);
  Array<bool> cancels(positions);
  zeros.fill(p.channels, 0);
  pool(p, part, used.combination, sets, inverse_lengths.data(), bounds.data(), cancels.data());
  if (part.frames == 0) return Report();
  Array<int64_t> place(positions);
  Array<const float*> vectors(positions);
  for (int64_t m = 0; m < positions; ++m) {
    place[m] = part.rois[m / area] * area + m % area;
    vectors[m] = sets + place[m] * p.channels;
  }
  Rows rows;
  choose_rows(p, part, used, vectors.data(), inverse_lengths.data(), cancels.data(), zeros.data(),
              bounds.data(), rows);
  const int64_t first_row = part.first_frame * p.cells;
  const Search all = support.among({rows.pointers.data(),
                                    rows.count,
                                    &rows.combination,
                                    positions,
                                    vectors.data(),
                                    inverse_lengths.data(),
                                    bounds.data(),
                                    nullptr,
                                    p.planes ? nullptr : p.inverse_norms + first_row,
                                    part.frames,
                                    p.cells,
                                    p.channels,
                                    p.top_k});
  const Found found{place.data(), p.num_rois * area, scores, indices};
  if (p.square > 1)
    return search_squares(all, p.map_width, p.square, p.squares, kSmallestNorm, p.threads, found);
  Kept kept;
  if (p.basis && p.prefixes)
    kept = {p.basis + part.video * p.directions * p.channels, p.prefixes + first_row * p.directions, p.directions};
  return search(all, kept, p.threads, found);
}

// Channels that are averaged together.
constexpr int64_t kAveraged = 128;

// The plain mean over the T + 1 sets of all RoIs of a video.
inline void average_of_all(const trovid_problem& p, const VideoPart& part, SupportCells& support,
                           Chosen& chosen, const float* sets, float* output) {
  const int64_t area = p.grid_height * p.grid_width, size = area * kAveraged;
  Array<float> space(2 * size * p.threads);
  for (int64_t channel = 0; channel < p.channels; channel += kAveraged) {
    const int64_t left = p.channels - channel, width = left < kAveraged ? left : kAveraged;
    support.hold(channel, width, chosen);
    parallel(part.count, p.threads, [&](int64_t r, int64_t thread) {
      const int64_t roi = part.rois[r], first = roi * area * p.channels;
      float* own = space.data() + 2 * size * thread;
      average(chosen, area, roi, p.channels, channel, width, sets + first, output + first, own,
              own + size);
    });
  }
}

// Without `sets` they are not kept.
inline void forward(const trovid_problem& p, float* output, float* sets, float* scores,
                    int32_t* indices, trovid_report* report) {
  const int64_t area = p.grid_height * p.grid_width, stride = p.num_rois * area;
  int64_t frames = 0, longest = 0;
  for (int64_t v = 0; v < p.videos; ++v) {
    frames += p.lengths[v];
    longest = longest > p.lengths[v] ? longest : p.lengths[v];
  }
  if (!p.planes)
    check_cells(p.rows, p.inverse_norms, frames * p.cells, p.channels, p.channels, 1);
  const int64_t inputs = p.dense || p.num_heads == 0 ? p.channels : p.channels / p.num_heads;
  if (p.weight && !is_finite(p.weight, p.channels * inputs * kOffsets)) throw OutOfRange();
  if (p.bias && !is_finite(p.bias, p.channels)) throw OutOfRange();
  trovid_expect_writes(output, sizeof(float) * stride * p.channels);
  if (sets) trovid_expect_writes(sets, sizeof(float) * stride * p.channels);
  Array<float> own_sets, weights(longest * stride * p.top_k);
  const Neighbours near(p.grid_height, p.grid_width);
  for (int64_t v = 0; v < p.videos; ++v) {
    const VideoPart part(p, v);
    if (part.count == 0) continue;
    Combination combination;
    sample(p, part.rois.data(), part.count, combination);
    const UsedCells used(combination, part.count * area, p.height * p.width);
    const bool attends = p.num_heads != 0 && part.frames != 0;
    const PerThread<Layout> layouts(attends ? 1 : 0, p);
    const bool through_cells = attends && used.pay(layouts[0]);
    // Attention through cells does not read the sets, so they may lie where its result will.
    float* x = sets ? sets : output;
    if (!sets && !through_cells) {
      own_sets.resize(stride * p.channels);
      x = own_sets.data();
    }
    SupportCells support(p, part);
    const Report found = choose(p, part, used, support, x, scores, indices);
    if (report) *report = {found.width, found.share};
    softmax_of_all(p, part, stride, scores, weights.data());
    Chosen chosen = support.chosen(indices, weights.data());
    if (!attends) {
      average_of_all(p, part, support, chosen, x, output);
      continue;
    }
    const Layout& layout = layouts[0];
    const Embedding embedding(p, layout);
    const float* map = p.features + v * p.height * p.width * p.channels;
    PerThread<AttentionSpace> spaces(p.threads, layout, area, part.frames);
    const int64_t batches = (part.count + kRois - 1) / kRois;
    // One group's cells at a time, or all groups at once.
    const int64_t step = through_cells ? 1 : layout.groups;
    for (int64_t first_group = 0; first_group < layout.groups; first_group += step) {
      const PerThread<CellEmbedding> cells(through_cells ? 1 : 0, &embedding, used, map,
                                           first_group * layout.heads_of_group,
                                           layout.heads_of_group, p.threads);
      support.hold(first_group * layout.inputs, step * layout.inputs, chosen);
      parallel(step * batches, p.threads, [&](int64_t task, int64_t thread) {
        const int64_t first = task % batches * kRois;
        const int64_t count = part.count - first < kRois ? part.count - first : kRois;
        attend(embedding, through_cells ? &cells[0] : nullptr, near, chosen, p.logit_scale,
               first_group + task / batches, part.rois.data(), first, count, x, output,
               spaces[thread]);
      });
    }
  }
}

}  // namespace TROVID_ISA
