// The backward pass: batches of RoIs, in phases whose tasks write to places of their own, so that
// the result does not depend on which thread does what.
#pragma once

#include "attention_gradient.h"
#include "forward.h"

namespace TROVID_ISA {

constexpr int64_t kBatchBytes = 16 << 20;
constexpr int64_t kSlice = 128;  // channels that one task of a scatter writes

// One video's part of the backward pass.
struct VideoGradient {
  const trovid_problem& p;
  const VideoPart& part;
  const Chosen& chosen;
  const float* sets;
  const float* scores;
  const float* grad_output;
  float* grad_sets;     // [M, C], zero at first
  float* grad_features;  // [cells of the map, C], zero at first
  float* grad_support;  // of this video's frames
  float* shrink;        // [frames, cells], zero at first: how much of itself a row's gradient loses
};

// to += sum over k of factor * row, for all channels.
inline void add_rows(float* to, const float* rows, int64_t channels, const int32_t* indices,
                     const float* factors, int64_t count) {
  int64_t c = 0;
  for (; c + 4 * kWidth <= channels; c += 4 * kWidth) {
    Vec sums[4];
    for (int j = 0; j < 4; ++j) sums[j] = load(to + c + j * kWidth);
    for (int64_t k = 0; k < count; ++k) {
      const float* from = rows + indices[k] * channels + c;
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) sums[j] += factors[k] * load(from + j * kWidth);
    }
    for (int j = 0; j < 4; ++j) store(to + c + j * kWidth, sums[j]);
  }
  for (int64_t k = 0; k < count; ++k)
    add_scaled(to + c, factors[k], rows + indices[k] * channels + c, channels - c);
}

// From the gradients of the most similar features to those of the softmax weights over the K cells
// and of the cosines; what these do to the positions is added to grad_sets. Leaves in `pulls` and
// `shrinks` [frames, area, top_k] what they do to the rows: a multiple of the position and of the
// row itself.
inline void cosine_gradient(const VideoGradient& g, const GradientBatch& batch, int64_t r,
                            int64_t roi, float* pulls, float* shrinks) {
  const int64_t area = batch.area, top_k = g.p.top_k, channels = g.p.channels;
  for (int64_t m = 0; m < area; ++m) {
    const int64_t position = roi * area + m;
    const float* set = g.sets + position * channels;
    float* grad_set = g.grad_sets + position * channels;
    const float norm = std::sqrt(dot(set, set, channels));
    const float inverse_length = norm > kSmallestNorm ? 1 / norm : 0;
    float own_shrink = 0;
    for (int64_t t = 0; t < batch.frames; ++t) {
      const int64_t from = (t * g.chosen.stride + position) * top_k;
      const int64_t to = (t * area + m) * top_k;
      const float* weights = g.chosen.weights + from;
      const int32_t* indices = g.chosen.indices + from;
      const float* rows = g.chosen.support + t * g.p.cells * channels;
      const float* norms = g.p.inverse_norms + (g.part.first_frame + t) * g.p.cells;
      const float* grad_similar =
          batch.grad_similar.data() + ((r * batch.frames + t) * area + m) * channels;
      float mean = 0;
      for (int64_t k = 0; k < top_k; ++k) {
        pulls[to + k] = dot(grad_similar, rows + indices[k] * channels, channels);
        mean += weights[k] * pulls[to + k];
      }
      for (int64_t k = 0; k < top_k; ++k) {
        const float cosine = g.scores[from + k];
        const float grad = weights[k] * (pulls[to + k] - mean);
        const float inverse_norm = norms[indices[k]];
        pulls[to + k] = grad * inverse_norm * inverse_length;
        shrinks[to + k] = grad * cosine * inverse_norm * inverse_norm;
        own_shrink += grad * cosine;
      }
      add_rows(grad_set, rows, channels, indices, pulls + to, top_k);
    }
    add_scaled(grad_set, -own_shrink * inverse_length * inverse_length, set, channels);
  }
}

// row += a * x + b * y for `count` <= kSlice channels.
inline void add_two(float* row, float a, const float* x, float b, const float* y, int64_t count) {
  int64_t c = 0;
  for (; c + kWidth <= count; c += kWidth)
    store(row + c, load(row + c) + a * load(x + c) + b * load(y + c));
  for (; c < count; ++c) row[c] += a * x[c] + b * y[c];
}

// Adds a batch's part of the gradient of one frame's rows, channels [first, first + count).
inline void scatter(const VideoGradient& g, const GradientBatch& batch, const int64_t* rois,
                    int64_t t, int64_t first, int64_t count, const float* pulls,
                    const float* shrinks) {
  const int64_t area = batch.area, top_k = g.p.top_k, channels = g.p.channels;
  float* grad_rows = g.grad_support + t * g.p.cells * channels + first;
  float* shrink = g.shrink + t * g.p.cells;
  for (int64_t r = 0; r < batch.rois; ++r)
    for (int64_t m = 0; m < area; ++m) {
      const int64_t position = rois[r] * area + m;
      const int64_t from = (t * g.chosen.stride + position) * top_k;
      const int64_t at = (r * batch.frames + t) * area + m;
      const float* grad = batch.grad_similar.data() + at * channels + first;
      const float* set = g.sets + position * channels + first;
      for (int64_t k = 0; k < top_k; ++k) {
        const int32_t cell = g.chosen.indices[from + k];
        add_two(grad_rows + cell * channels, g.chosen.weights[from + k], grad,
                pulls[at * top_k + k], set, count);
        if (first == 0) shrink[cell] += shrinks[at * top_k + k];
      }
    }
}

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

// The gradient of the plain mean for one RoI of a batch.
inline void average_gradient(const VideoGradient& g, GradientBatch& batch, int64_t r, int64_t roi) {
  const int64_t size = batch.area * g.p.channels;
  const float factor = 1 / static_cast<float>(batch.frames + 1);
  const float* from = g.grad_output + roi * size;
  add_scaled(g.grad_sets + roi * size, factor, from, size);
  for (int64_t t = 0; t < batch.frames; ++t) {
    float* to = batch.grad_similar.data() + (r * batch.frames + t) * size;
    for (int64_t i = 0; i < size; ++i) to[i] = factor * from[i];
  }
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
  int64_t most = kBatchBytes / GradientBatch::bytes_of_roi(l, frames, area, p.channels);
  if (most < p.threads) most = p.threads;
  if (most > g.part.count) most = g.part.count;
  GradientBatch batch(l, most, frames, area, p.channels);
  PerThread<GradientSpace> spaces(p.threads, l, area, frames);
  const int64_t coefficients = frames * area * p.top_k;
  Array<float> pulls(most * coefficients), shrinks(most * coefficients);
  PerThread<Array<const float*>> left(p.threads, 2 * most * area), right(p.threads, 2 * most * area);
  const int64_t slices = (p.channels + kSlice - 1) / kSlice;
  for (int64_t first = 0; first < g.part.count; first += most) {
    batch.rois = g.part.count - first < most ? g.part.count - first : most;
    const int64_t* rois = g.part.rois.data() + first;
    parallel(l.groups * batch.rois, p.threads, [&](int64_t task, int64_t thread) {
      const int64_t group = task / batch.rois, r = task % batch.rois, roi = rois[r];
      GradientSpace& space = spaces[thread];
      if (!e) {
        average_gradient(g, batch, r, roi);
        return;
      }
      const int64_t input = l.first_input(group * l.heads_of_group);
      float* inputs = batch.inputs_of(l, r, group);
      for (int64_t m = 0; m < area; ++m)
        for (int64_t i = 0; i < l.input_stride; ++i)
          inputs[m * l.input_stride + i] =
              i < l.inputs ? g.sets[(roi * area + m) * p.channels + input + i] : 0;
      g.chosen.gather_roi(roi * area, area, 0, frames, input, l.inputs, space.similar.data(),
                          l.input_stride);
      for (int64_t h = 0; h < l.heads_of_group; ++h)
        attend_gradient(*e, through_cells ? &cells[0] : nullptr, near, p.logit_scale,
                        group * l.heads_of_group + h, h == 0, r, (first + r) * area,
                        g.grad_output + roi * area * p.channels,
                        g.grad_sets + roi * area * p.channels, batch, space);
    });
    if (e)
      parallel(l.heads * kOffsets, p.threads, [&](int64_t task, int64_t thread) {
        const int64_t head = task / kOffsets, o = task % kOffsets;
        weight_gradient(l, near, head, o, through_cells, batch, left[thread], right[thread],
                        grad_weight + task * l.width * l.v_stride,
                        grad_bias ? grad_bias + head * l.width : nullptr);
        for (int64_t r = 0; through_cells && r < batch.rois; ++r)
          cell_gradient[0].add(near, head, o, (first + r) * area, batch.dpsi_of(l, r, head));
      });
    parallel(batch.rois, p.threads, [&](int64_t r, int64_t) {
      cosine_gradient(g, batch, r, rois[r], pulls.data() + r * coefficients,
                      shrinks.data() + r * coefficients);
    });
    parallel(frames * slices, p.threads, [&](int64_t task, int64_t) {
      const int64_t from = task % slices * kSlice;
      const int64_t count = p.channels - from < kSlice ? p.channels - from : kSlice;
      scatter(g, batch, rois, task / slices, from, count, pulls.data(), shrinks.data());
    });
  }
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
  const int64_t area = p.grid_height * p.grid_width, stride = p.rois * area;
  const int64_t map = p.height * p.width * p.channels;
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
  one_head.heads = 1;
  one_head.dense = 0;
  const Neighbours near(p.grid_height, p.grid_width);
  const Layout layout(p.heads ? p : one_head);
  const PerThread<Embedding> embedding(p.heads ? 1 : 0, p, layout);
  const int64_t weight_size = p.heads ? layout.heads * kOffsets * layout.width * layout.v_stride : 0;
  Array<float> packed_weight(weight_size);
  std::memset(packed_weight.data(), 0, sizeof(float) * weight_size);
  for (int64_t v = 0; v < p.videos; ++v) {
    const VideoPart part(p, v);
    if (part.count == 0) continue;
    Combination combination;
    sample(p, part.rois.data(), part.count, combination);
    const UsedCells used(combination, part.count * area, p.height * p.width);
    const Chosen chosen = chosen_of(p, part, indices, weights.data());
    softmax_of_all(p, part, stride, scores, weights.data());
    if (part.frames == 0) {
      for (int64_t r = 0; r < part.count; ++r)
        add_scaled(grad_sets.data() + part.rois[r] * area * p.channels, 1,
                   grad_output + part.rois[r] * area * p.channels, area * p.channels);
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
      video_gradient(gradient, near, layout, used, p.heads ? &embedding[0] : nullptr,
                     packed_weight.data(), grad_bias);
    }
    unpool(p, part, combination, grad_sets.data(), grad_features + v * map);
  }
  if (!grad_weight) return;
  for (int64_t head = 0; head < p.heads; ++head)
    for (int64_t o = 0; o < kOffsets; ++o)
      for (int64_t j = 0; j < layout.width; ++j)
        for (int64_t i = 0; i < layout.inputs; ++i)
          grad_weight[((head * layout.width + j) * layout.inputs + i) * kOffsets + o] =
              packed_weight[((head * kOffsets + o) * layout.width + j) * layout.v_stride + i];
}

}  // namespace TROVID_ISA
