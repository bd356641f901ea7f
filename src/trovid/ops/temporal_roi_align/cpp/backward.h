// The backward pass: batches of RoIs, in phases whose tasks write to places of their own, so that
// the result does not depend on which thread does what.
#pragma once

#include "attention_gradient.h"
#include "forward.h"
#include "support_gradient.h"

namespace TROVID_ISA {

constexpr int64_t kBatchBytes = 16 << 20;

// The gradient of RoIAlign: grad_features [cells, channels] of one video.
inline void unpool(const trovid_problem& p, const VideoPart& part, const Combination& cells,
                   const float* grad_sets, float* grad_features) {
  const int64_t area = p.grid_height * p.grid_width;
  const int64_t slices = (p.channels + kSlice - 1) / kSlice;
  parallel(slices, p.threads, [&](int64_t task, int64_t) {
    const int64_t first = task * kSlice;
    const int64_t count = p.channels - first < kSlice ? p.channels - first : kSlice;
    for (int64_t m = 0; m < part.count * area; ++m) {
      const float* from = grad_sets + (part.rois[m / area] * area + m % area) * p.channels + first;
      for (int64_t e = cells.begin[m]; e < cells.begin[m + 1]; ++e)
        add_scaled(grad_features + cells.row[e] * p.channels + first, cells.weight[e], from, count);
    }
  });
}

// Throws OutOfRange unless all of the values are finite.
inline void check_finite(const float* values, int64_t count, int64_t threads) {
  constexpr int64_t kPart = 1 << 16;
  const int64_t parts = (count + kPart - 1) / kPart;
  Array<bool> finite(parts);
  parallel(parts, threads, [&](int64_t part, int64_t) {
    const int64_t first = part * kPart;
    finite[part] = is_finite(values + first, count - first < kPart ? count - first : kPart);
  });
  for (int64_t part = 0; part < parts; ++part)
    if (!finite[part]) throw OutOfRange();
}

// RoIs of a batch: as many as its memory holds, and the same number for each thread.
inline int64_t batch_of(const Layout& l, int64_t area, int64_t rois, int64_t threads) {
  const int64_t fit = kBatchBytes / GradientBatch::bytes_of_roi(l, area) / threads * threads;
  const int64_t most = fit > threads ? fit : threads;
  return most < rois ? most : rois;
}

// All RoIs of one video that has support frames.
inline void video_gradient(const VideoGradient& g, const Neighbours& near, const Layout& l,
                           const UsedCells& used, const Embedding* e, float* grad_weight,
                           float* grad_bias) {
  const trovid_problem& p = g.p;
  const float* map = p.features + g.part.video * p.height * p.width * p.channels;
  const bool through_cells = e && used.pay(l);
  const PerThread<CellEmbedding> cells(through_cells ? 1 : 0, e, used, map, 0, l.heads, p.threads);
  PerThread<CellEmbeddingGradient> cell_gradient(through_cells ? 1 : 0, e, used);
  const int64_t area = near.area, frames = g.part.frames;
  const int64_t most = batch_of(l, area, g.part.count, p.threads);
  GradientBatch batch(l, most, frames, area, p.top_k, e, e && !through_cells);
  Pulls pulls(g.part.count, frames * area * p.top_k);
  PerThread<GradientSpace> spaces(p.threads, l, area, frames);
  PerThread<SupportSpace> support_spaces(p.threads, l, area, frames);
  PerThread<Array<const float*>> left(p.threads, 2 * most * area), right(p.threads, 2 * most * area);
  const int64_t slices = (p.channels + kSlice - 1) / kSlice;
  // V is read once for each part of the frames.
  int64_t parts = (p.threads + l.groups - 1) / l.groups;
  if (parts > frames) parts = frames;
  for (int64_t first = 0; first < g.part.count; first += most) {
    batch.rois = g.part.count - first < most ? g.part.count - first : most;
    const int64_t* rois = g.part.rois.data() + first;
    parallel(l.groups * batch.rois, p.threads, [&](int64_t task, int64_t thread) {
      const int64_t group = task / batch.rois, r = task % batch.rois, from = rois[r] * area;
      GradientSpace& space = spaces[thread];
      const int64_t own = group * l.heads_of_group * l.width, width = l.heads_of_group * l.width;
      transpose(g.grad_output + (rois[r] * p.channels + own) * area, area, width, area,
                batch.grad_output_of(r) + own, p.channels);
      if (!e) {
        const float factor = 1 / static_cast<float>(frames + 1);
        for (int64_t i = 0; i < area * (frames + 1); ++i) batch.weights_of(r, 0)[i] = factor;
        add_scaled(g.grad_sets + from * p.channels, factor, batch.grad_output_of(r),
                   area * p.channels);
        return;
      }
      const int64_t input = l.first_input(group * l.heads_of_group);
      for (int64_t m = 0; !through_cells && m < area; ++m)
        for (int64_t i = 0; i < l.input_stride; ++i)
          batch.inputs_of(r, group)[m * l.input_stride + i] =
              i < l.inputs ? g.sets[(from + m) * p.channels + input + i] : 0;
      g.chosen.gather_roi(from, area, 0, frames, input, l.inputs, space.similar.data(),
                          l.input_stride);
      attend_gradient(*e, through_cells ? &cells[0] : nullptr, near, p.logit_scale, group, r,
                      (first + r) * area, g.sets + from * p.channels,
                      g.grad_sets + from * p.channels, batch, space);
    });
    const int64_t shares = parts * l.groups, panels = e ? l.heads * kOffsets : 0;
    parallel(shares + panels, p.threads, [&](int64_t task, int64_t thread) {
      if (task < shares) {
        const int64_t part = task % parts, begin = frames * part / parts;
        for (int64_t r = 0; r < batch.rois; ++r)
          similar_gradient(g, near, e, task / parts, r, rois[r], begin,
                           frames * (part + 1) / parts - begin, batch, support_spaces[thread]);
        return;
      }
      const int64_t panel = task - shares, head = panel / kOffsets, o = panel % kOffsets;
      weight_gradient(near, head, o, through_cells, batch, left[thread], right[thread],
                      grad_weight + panel * l.width * l.v_stride,
                      grad_bias ? grad_bias + head * l.width : nullptr);
      for (int64_t r = 0; through_cells && r < batch.rois; ++r)
        cell_gradient[0].add(near, head, o, (first + r) * area, batch.dpsi_of(r, head));
    });
    parallel(batch.rois, p.threads,
             [&](int64_t r, int64_t) { cosine_gradient(g, r, first + r, batch, pulls); });
  }
  for (int64_t first = 0; first < g.part.count; first += kPulledRois)
    parallel(frames * slices, p.threads, [&](int64_t task, int64_t) {
      const int64_t from = task % slices * kSlice;
      pull_rows(g, pulls, first, task / slices, area, from,
                p.channels - from < kSlice ? p.channels - from : kSlice);
    });
  if (through_cells) cell_gradient[0].finish(map, p.threads, g.grad_features, grad_weight);
  parallel(frames * g.p.cells / 64 + 1, p.threads, [&](int64_t task, int64_t) {
    for (int64_t row = task * 64; row < frames * p.cells && row < (task + 1) * 64; ++row)
      if (g.shrink[row] != 0)
        add_scaled(g.grad_support + row * p.channels, -g.shrink[row],
                   g.chosen.support + row * p.channels, p.channels);
  });
}

inline void backward(const trovid_problem& p, const float* sets, const float* scores,
                     const int32_t* indices, const float* grad_output, float* grad_features,
                     float* grad_support, float* grad_weight, float* grad_bias) {
  const int64_t area = p.grid_height * p.grid_width, stride = p.num_rois * area;
  const int64_t map = p.height * p.width * p.channels;
  check_finite(sets, stride * p.channels, p.threads);
  check_finite(grad_output, stride * p.channels, p.threads);
  int64_t frames = 0, longest = 0;
  for (int64_t v = 0; v < p.videos; ++v) {
    frames += p.lengths[v];
    longest = longest > p.lengths[v] ? longest : p.lengths[v];
  }
  Array<float> weights(longest * stride * p.top_k), grad_sets(stride * p.channels);
  Array<float> shrink(frames * p.cells);
  trovid_expect_writes(grad_support, sizeof(float) * frames * p.cells * p.channels);
  std::memset(grad_sets.data(), 0, sizeof(float) * stride * p.channels);
  std::memset(shrink.data(), 0, sizeof(float) * frames * p.cells);
  std::memset(grad_features, 0, sizeof(float) * p.videos * map);
  std::memset(grad_support, 0, sizeof(float) * frames * p.cells * p.channels);
  if (grad_bias) std::memset(grad_bias, 0, sizeof(float) * p.channels);

  trovid_problem one_head = p;
  one_head.num_heads = 1;
  one_head.dense = 0;
  const Neighbours near(p.grid_height, p.grid_width);
  const Layout layout(p.num_heads ? p : one_head);
  const PerThread<Embedding> embedding(p.num_heads ? 1 : 0, p, layout);
  const int64_t weight_size = p.num_heads ? layout.heads * kOffsets * layout.width * layout.v_stride : 0;
  Array<float> packed_weight(weight_size);
  std::memset(packed_weight.data(), 0, sizeof(float) * weight_size);
  for (int64_t v = 0; v < p.videos; ++v) {
    const VideoPart part(p, v);
    if (part.count == 0) continue;
    Combination combination;
    sample(p, part.rois.data(), part.count, combination);
    const UsedCells used(combination, part.count * area, p.height * p.width);
    SupportCells support(p, part);
    const Chosen chosen = support.chosen(indices, weights.data());
    softmax_of_all(p, part, stride, scores, weights.data());
    if (part.frames == 0) {
      for (int64_t r = 0; r < part.count; ++r)
        transpose(grad_output + part.rois[r] * area * p.channels, area, p.channels, area,
                  grad_sets.data() + part.rois[r] * area * p.channels, p.channels);
    } else {
      const VideoGradient gradient{p,
                                   part,
                                   chosen,
                                   sets,
                                   scores,
                                   grad_output,
                                   grad_sets.data(),
                                   grad_features + v * map,
                                   grad_support + part.first_frame * p.cells * p.channels,
                                   shrink.data() + part.first_frame * p.cells};
      video_gradient(gradient, near, layout, used, p.num_heads ? &embedding[0] : nullptr,
                     packed_weight.data(), grad_bias);
    }
    unpool(p, part, combination, grad_sets.data(), grad_features + v * map);
  }
  if (!grad_weight) return;
  for (int64_t head = 0; head < p.num_heads; ++head)
    for (int64_t o = 0; o < kOffsets; ++o)
      for (int64_t j = 0; j < layout.width; ++j)
        for (int64_t i = 0; i < layout.inputs; ++i)
          grad_weight[((head * layout.width + j) * layout.inputs + i) * kOffsets + o] =
              packed_weight[((head * kOffsets + o) * layout.width + j) * layout.v_stride + i];
}

}  // namespace TROVID_ISA
