// From the attention's gradients to those of the support maps and, through the cosines, of the sets.
//
// The most similar feature of a position is sum_k w_k F(k), w the softmax of the cosines. With dX'
// its gradient, F(k) receives w_k dX', and the cosine of k receives w_k (F(k) . dX' - their mean).
// A cosine pulls the position along F(k) and the cell along X, and shrinks both along themselves.
#pragma once

#include "attention.h"
#include "gradient_batch.h"

namespace TROVID_ISA {

constexpr int64_t kSlice = 128;  // channels that one task of a scatter writes
constexpr int64_t kPulledRois = 32;  // RoIs that pull rows together

// One video's part of the backward pass.
struct VideoGradient {
  const trovid_problem& p;
  const VideoPart& part;
  const Chosen& chosen;
  const float* sets;
  const float* scores;
  const float* grad_output;  // [R, C, area]
  float* grad_sets;          // [M, C], zero at first
  float* grad_features;      // [cells of the map, C], zero at first
  float* grad_support;       // of this video's frames
  float* shrink;  // [frames, cells], zero at first: how much of itself a row's gradient loses
};

// Working memory of one thread.
struct SupportSpace {
  Array<const float*> left, right;
  Array<float> grad;  // [frames, area, input_stride]

  SupportSpace(const Layout& l, int64_t area, int64_t frames)
      : left(kOffsets * l.heads_of_group), right(kOffsets * l.heads_of_group),
        grad(frames * area * l.input_stride) {
    grad.fill(frames * area * l.input_stride, 0);
  }
};

// products[k] = grad . row k, and gradient row k += weight k * grad, for Count cells.
template <int Count>
inline void give_to_cells(const float* grad, const float* rows, float* grad_rows, int64_t channels,
                          const int32_t* indices, const float* weights, int64_t inputs,
                          float* products) {
  const float* row[Count];
  float* grad_row[Count];
  float weight[Count];
  Vec sums[Count];
#pragma GCC unroll 4
  for (int k = 0; k < Count; ++k) {
    row[k] = rows + indices[k] * channels;
    grad_row[k] = grad_rows + indices[k] * channels;
    weight[k] = weights[k];
    sums[k] = Vec{};
  }
  int64_t c = 0;
  for (; c + kWidth <= inputs; c += kWidth) {
    const Vec value = load(grad + c);
#pragma GCC unroll 4
    for (int k = 0; k < Count; ++k) {
      sums[k] += value * load(row[k] + c);
      store(grad_row[k] + c, load(grad_row[k] + c) + weight[k] * value);
    }
  }
#pragma GCC unroll 4
  for (int k = 0; k < Count; ++k) {
    products[k] = sum(sums[k]);
    for (int64_t i = c; i < inputs; ++i) {
      products[k] += grad[i] * row[k][i];
      grad_row[k][i] += weight[k] * grad[i];
    }
  }
}

// dX' of one group of one RoI in frames [first, first + count), to the cells that were chosen.
inline void similar_gradient(const VideoGradient& g, const Neighbours& near, bool attends,
                             int64_t group, int64_t r, int64_t roi, int64_t first, int64_t count,
                             GradientBatch& batch, SupportSpace& space) {
  const Layout& l = batch.l;
  const int64_t top_k = batch.top_k, all = batch.frames + 1;
  const int64_t first_head = group * l.heads_of_group, last_head = first_head + l.heads_of_group;
  const int64_t input = l.first_input(first_head), frame = near.area * l.input_stride;
  for (int64_t n = 0; n < near.area; ++n) {
    float* grad = space.grad.data() + n * l.input_stride;
    int64_t size = 0;
    for (int64_t head = first_head; head < last_head; ++head) {
      const float* output = batch.grad_output_of(r) + n * l.channels + head * l.width;
      const float* weights = batch.weights_of(r, head) + n * all + 1 + first;
      for (int64_t t = 0; t < count; ++t)
        scale_into(grad + t * frame + l.within_inputs(head), weights[t], output, l.width);
      for (int64_t o = 0; attends && o < kOffsets; ++o) {
        const int32_t m = near.from(n, o);
        if (m < 0) continue;
        space.left[size] = batch.grad_logits_of(r, head) + m * all + 1 + first;
        space.right[size++] = batch.v_of(r, head) + (m * kOffsets + o) * l.v_stride;
      }
    }
    outer_product(space.left.data(), space.right.data(), size, count, l.inputs, grad, frame);
  }
  for (int64_t t = first; t < first + count; ++t)
    for (int64_t n = 0; n < near.area; ++n) {
      const int64_t at = (t * g.chosen.stride + roi * near.area + n) * top_k;
      const int64_t map = t * g.p.cells * l.channels + input;
      float* products = batch.products_of(r, group) + (t * near.area + n) * top_k;
      int64_t k = 0;
      const auto give = [&](auto run) {
        run(space.grad.data() + (t - first) * frame + n * l.input_stride, g.chosen.support + map,
            g.grad_support + map, l.channels, g.chosen.indices + at + k, g.chosen.weights + at + k,
            l.inputs, products + k);
      };
      for (; k + 4 <= top_k; k += 4) give(give_to_cells<4>);
      for (; k < top_k; ++k) give(give_to_cells<1>);
    }
}

// to += sum over k of factor * row, for all channels.
inline void add_rows(float* to, const float* rows, int64_t channels, const int32_t* indices,
                     const float* factors, int64_t count) {
  int64_t c = 0;
  for (; c + 4 * kWidth <= channels; c += 4 * kWidth) {
    Vec sums[4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[j] = load(to + c + j * kWidth);
    for (int64_t k = 0; k < count; ++k) {
      const float* from = rows + indices[k] * channels + c;
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) sums[j] += factors[k] * load(from + j * kWidth);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) store(to + c + j * kWidth, sums[j]);
  }
  for (int64_t k = 0; k < count; ++k)
    add_scaled(to + c, factors[k], rows + indices[k] * channels + c, channels - c);
}

// What the cosines of one video do to the rows: a multiple of the position and of the row itself.
// Both [rois of the part, frames, area, top_k].
struct Pulls {
  int64_t of_roi;
  Array<float> along_set, along_row;

  Pulls(int64_t rois, int64_t size) : of_roi(size), along_set(rois * size), along_row(rois * size) {}
};

// The cosines of RoI r of a batch, which is the part's RoI `place`: what they do to the positions is
// added to grad_sets, what they do to the rows is left in pulls.
inline void cosine_gradient(const VideoGradient& g, int64_t r, int64_t place, GradientBatch& batch,
                            Pulls& all_pulls) {
  const int64_t area = batch.area, top_k = g.p.top_k, channels = g.p.channels;
  const int64_t roi = g.part.rois[place];
  float* pulls = all_pulls.along_set.data() + place * all_pulls.of_roi;
  float* shrinks = all_pulls.along_row.data() + place * all_pulls.of_roi;
  std::memcpy(pulls, batch.products_of(r, 0), sizeof(float) * all_pulls.of_roi);
  for (int64_t group = 1; group < batch.l.groups; ++group)
    add_scaled(pulls, 1, batch.products_of(r, group), all_pulls.of_roi);
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
      const float* norms = g.p.inverse_norms + (g.part.first_frame + t) * g.p.cells;
      float mean = 0;
      for (int64_t k = 0; k < top_k; ++k) mean += weights[k] * pulls[to + k];
      for (int64_t k = 0; k < top_k; ++k) {
        const float cosine = g.scores[from + k];
        const float grad = weights[k] * (pulls[to + k] - mean);
        const float inverse_norm = norms[indices[k]];
        pulls[to + k] = grad * inverse_norm * inverse_length;
        shrinks[to + k] = grad * cosine * inverse_norm * inverse_norm;
        own_shrink += grad * cosine;
      }
      add_rows(grad_set, g.chosen.support + t * g.p.cells * channels, channels, indices,
               pulls + to, top_k);
    }
    add_scaled(grad_set, -own_shrink * inverse_length * inverse_length, set, channels);
  }
}

// Pulls the rows of frame t, channels [first, first + count): those RoIs of the part from `begin` on
// that share the sets in the cache.
inline void pull_rows(const VideoGradient& g, const Pulls& all_pulls, int64_t begin, int64_t t,
                      int64_t area, int64_t first, int64_t count) {
  const int64_t top_k = g.p.top_k, channels = g.p.channels;
  float* grad_rows = g.grad_support + t * g.p.cells * channels + first;
  float* shrink = g.shrink + t * g.p.cells;
  for (int64_t place = begin; place < begin + kPulledRois && place < g.part.count; ++place)
    for (int64_t m = 0; m < area; ++m) {
      const int64_t position = g.part.rois[place] * area + m;
      const int32_t* indices = g.chosen.indices + (t * g.chosen.stride + position) * top_k;
      const int64_t at = place * all_pulls.of_roi + (t * area + m) * top_k;
      for (int64_t k = 0; k < top_k; ++k) {
        add_scaled(grad_rows + indices[k] * channels, all_pulls.along_set[at + k],
                   g.sets + position * channels + first, count);
        if (first == 0) shrink[indices[k]] += all_pulls.along_row[at + k];
      }
    }
}

}  // namespace TROVID_ISA
