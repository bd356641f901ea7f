// The gradient of the temporal attention, recomputed from the choice of the forward pass.
//
// With dl the gradient of a logit (times its scale), a the attention weight and psi = psi(X):
//     dX'_t(n)  = a_t(n) dO(n) + sum over offsets of dl_t(n - o) V(n - o, o)
//     U(m, o)   = sum over t of dl_t(m) X'_t(m + o)
//     dpsi(m)   = sum over offsets of W_o U(m, o) + bias sum_t dl_t(m) + 2 dl_0(m) psi(m)
//     dX(n)     = a_0(n) dO(n) + sum over offsets of W_o^T dpsi(n - o)
//     dW_o      = sum over m of dpsi(m) X(m + o)^T + psi(m) U(m, o)^T
// so that no support frame is embedded here either. Where psi comes through the cells of the map,
// the last line's first product and W_o^T dpsi go through them as well.
#pragma once

#include "attention.h"

namespace TROVID_ISA {

// What one batch of RoIs hands from phase to phase.
struct GradientBatch {
  int64_t rois, frames, area;
  Array<float> inputs;        // [rois, groups, area, input_stride], the sets with padding
  Array<float> psi, dpsi;     // [rois, heads, area, psi_stride]
  Array<float> u;             // [rois, heads, area, kOffsets, v_stride]
  Array<float> mass;          // [rois, heads, area], sum of dl over the support frames
  Array<float> grad_similar;  // [rois, frames, area, channels]

  GradientBatch(const Layout& l, int64_t r, int64_t t, int64_t a, int64_t channels)
      : rois(r), frames(t), area(a), inputs(r * l.groups * a * l.input_stride),
        psi(r * l.heads * a * l.psi_stride), dpsi(r * l.heads * a * l.psi_stride),
        u(r * l.heads * a * kOffsets * l.v_stride), mass(r * l.heads * a),
        grad_similar(r * t * a * channels) {}

  static int64_t bytes_of_roi(const Layout& l, int64_t t, int64_t a, int64_t channels) {
    return 4 * a * (t * channels + l.heads * (kOffsets * l.v_stride + 2 * l.psi_stride) +
                    l.groups * l.input_stride);
  }
  float* psi_of(const Layout& l, int64_t r, int64_t head) {
    return psi.data() + (r * l.heads + head) * area * l.psi_stride;
  }
  float* dpsi_of(const Layout& l, int64_t r, int64_t head) {
    return dpsi.data() + (r * l.heads + head) * area * l.psi_stride;
  }
  float* u_of(const Layout& l, int64_t r, int64_t head) {
    return u.data() + (r * l.heads + head) * area * kOffsets * l.v_stride;
  }
  float* inputs_of(const Layout& l, int64_t r, int64_t group) {
    return inputs.data() + (r * l.groups + group) * area * l.input_stride;
  }
};

// Working memory of one thread.
struct GradientSpace {
  RowPointers rows;
  Array<float> v, similar, logits, grad_logits, grad_inputs;

  GradientSpace(const Layout& l, int64_t area, int64_t frames)
      : rows(area), v(area * kOffsets * l.v_stride), similar(frames * area * l.input_stride),
        logits((frames + 1) * area), grad_logits((frames + 1) * area),
        grad_inputs(area * l.v_stride) {
    similar.fill(frames * area * l.input_stride, 0);
  }
};

inline void store_part(float* to, Vec value, int64_t count) {
  if (count >= kWidth)
    store(to, value);
  else
    for (int64_t i = 0; i < count; ++i) to[i] = value[i];
}

// grad_similar[t][n] of `Frames` frames, `inputs` channels from `to` on; added where not `first`.
template <int Frames>
inline void grad_similar_of_frames(const Layout& l, const Neighbours& near, const float* v,
                                   const float* grad_logits, bool first, float* to,
                                   int64_t frame_stride) {
  for (int64_t n = 0; n < near.area; ++n)
    for (int64_t i = 0; i < l.inputs; i += kWidth) {
      Vec sums[Frames];
      for (int t = 0; t < Frames; ++t) sums[t] = Vec{};
      for (int64_t o = 0; o < kOffsets; ++o) {
        const int32_t m = near.of[n * kOffsets + kOffsets - 1 - o];
        if (m < 0) continue;
        const Vec value = load(v + (m * kOffsets + o) * l.v_stride + i);
#pragma GCC unroll 8
        for (int t = 0; t < Frames; ++t) sums[t] += grad_logits[t * near.area + m] * value;
      }
      const int64_t left = l.inputs - i;
      for (int t = 0; t < Frames; ++t) {
        float* at = to + t * frame_stride + n * l.channels + i;
        if (!first)
          for (int64_t lane = 0; lane < kWidth && lane < left; ++lane) sums[t][lane] += at[lane];
        store_part(at, sums[t], left);
      }
    }
}

// Adds to U(m, o) what `Frames` frames contribute, or starts it with them.
template <int Frames>
inline void weighted_frames(const Layout& l, const Neighbours& near, const float* similar,
                            const float* grad_logits, bool start, float* u) {
  const int64_t frame = near.area * l.input_stride;
  for (int64_t n = 0; n < near.area; ++n)
    for (int64_t i = 0; i < l.inputs; i += kWidth) {
      Vec values[Frames];
      for (int t = 0; t < Frames; ++t)
        values[t] = load(similar + t * frame + n * l.input_stride + i);
      for (int64_t o = 0; o < kOffsets; ++o) {
        const int32_t m = near.of[n * kOffsets + kOffsets - 1 - o];
        if (m < 0) continue;
        float* to = u + (m * kOffsets + o) * l.v_stride + i;
        Vec total = start ? Vec{} : load(to);
#pragma GCC unroll 8
        for (int t = 0; t < Frames; ++t) total += grad_logits[t * near.area + m] * values[t];
        store(to, total);
      }
    }
}

// U(m, o) of one RoI.
inline void weighted_similar(const Layout& l, const Neighbours& near, const float* similar,
                             const float* grad_logits, int64_t frames, float* u) {
  int64_t t = 0;
  const auto at = [&](auto run) {
    run(l, near, similar + t * near.area * l.input_stride, grad_logits + t * near.area, t == 0, u);
  };
  for (; t + kFrames <= frames; t += kFrames) at(weighted_frames<kFrames>);
  for (; t + 2 <= frames; t += 2) at(weighted_frames<2>);
  for (; t < frames; ++t) at(weighted_frames<1>);
}

// From logits [frames + 1, area], the target's own first, to attention weights, in place, and to
// the logits' gradients, given those of the weights.
inline void softmax_gradient(float* logits, float* grad, int64_t frames, int64_t area, float scale) {
  for (int64_t m = 0; m < area; ++m) {
    float top = logits[m], mass = 0, mean = 0;
    for (int64_t t = 1; t <= frames; ++t)
      top = logits[t * area + m] > top ? logits[t * area + m] : top;
    for (int64_t t = 0; t <= frames; ++t)
      mass += logits[t * area + m] = std::exp(logits[t * area + m] - top);
    for (int64_t t = 0; t <= frames; ++t) {
      logits[t * area + m] /= mass;
      mean += logits[t * area + m] * grad[t * area + m];
    }
    for (int64_t t = 0; t <= frames; ++t)
      grad[t * area + m] = logits[t * area + m] * (grad[t * area + m] - mean) * scale;
  }
}

// One head of one RoI: fills the batch's psi, dpsi, U, mass; adds to grad_similar and grad_set.
// Where there are `cells`, the RoI's positions begin at `position` there.
inline void attend_gradient(const Embedding& e, const CellEmbedding* cells, const Neighbours& near,
                            float scale, int64_t head, bool first, int64_t r, int64_t position,
                            const float* grad_output, float* grad_set, GradientBatch& batch,
                            GradientSpace& space) {
  const Layout& l = e.layout;
  const int64_t area = near.area, frames = batch.frames, own = head * l.width;
  const int64_t input = l.first_input(head), within = l.within_inputs(head);
  const float* inputs = batch.inputs_of(l, r, head / l.heads_of_group);
  float* psi = batch.psi_of(l, r, head);
  float* dpsi = batch.dpsi_of(l, r, head);
  float* u = batch.u_of(l, r, head);
  float* mass = batch.mass.data() + (r * l.heads + head) * area;
  float* weights = space.logits.data();
  float* grad = space.grad_logits.data();

  if (cells)
    cells->embed(near, head, position, psi);
  else
    embed(e, near, head, &inputs, l.input_stride, 1, space.rows, psi);
  absorb(e, near, head, psi, 1, space.rows, space.v.data());
  support_logits(l, near, space.v.data(), space.similar.data(), frames, weights + area);
  for (int64_t m = 0; m < area; ++m) {
    const float* value = psi + m * l.psi_stride;
    const float* output = grad_output + m * l.channels + own;
    const float constant = e.bias ? dot(e.bias + own, value, l.width) : 0.0f;
    weights[m] = scale * dot(value, value, l.width);
    grad[m] = dot(output, inputs + m * l.input_stride + within, l.width);
    for (int64_t t = 1; t <= frames; ++t) {
      const float* similar = space.similar.data() + ((t - 1) * area + m) * l.input_stride;
      weights[t * area + m] = scale * (weights[t * area + m] + constant);
      grad[t * area + m] = dot(output, similar + within, l.width);
    }
  }
  softmax_gradient(weights, grad, frames, area, scale);

  float* grad_similar = batch.grad_similar.data() + r * frames * area * l.channels;
  const int64_t frame_stride = area * l.channels;
  int64_t t = 0;
  const auto at = [&](auto run) {
    run(l, near, space.v.data(), grad + (t + 1) * area, first,
        grad_similar + t * frame_stride + input, frame_stride);
  };
  for (; t + kFrames <= frames; t += kFrames) at(grad_similar_of_frames<kFrames>);
  for (; t + 2 <= frames; t += 2) at(grad_similar_of_frames<2>);
  for (; t < frames; ++t) at(grad_similar_of_frames<1>);
  weighted_similar(l, near, space.similar.data(), grad + area, frames, u);
  for (int64_t m = 0; m < area; ++m) {
    const float* output = grad_output + m * l.channels + own;
    add_scaled(grad_set + m * l.channels + own, weights[m], output, l.width);
    mass[m] = 0;
    for (int64_t t = 1; t <= frames; ++t) {
      mass[m] += grad[t * area + m];
      add_scaled(grad_similar + (t - 1) * frame_stride + m * l.channels + own,
                 weights[t * area + m], output, l.width);
    }
    for (int64_t j = 0; j < l.psi_stride; ++j) {
      const float bias = e.bias && j < l.width ? e.bias[own + j] : 0;
      dpsi[m * l.psi_stride + j] = bias * mass[m] + 2 * grad[m] * psi[m * l.psi_stride + j];
    }
  }

  for (int64_t o = 0; o < kOffsets; ++o) {
    for (int64_t i = 0; i < near.count[o]; ++i) {
      const int64_t m = near.position[o * area + i];
      space.rows.left[i] = u + (m * kOffsets + o) * l.v_stride;
      space.rows.out[i] = dpsi + m * l.psi_stride;
    }
    for (int64_t column = 0; column < l.width; column += kPanel)
      space.rows.multiply(near.count[o], e.forward_panel(head, o, column), l.inputs, column,
                          l.width, true);
  }
  if (cells) return;
  space.grad_inputs.fill(area * l.v_stride, 0);
  for (int64_t o = 0; o < kOffsets; ++o) {
    for (int64_t i = 0; i < near.count[o]; ++i) {
      space.rows.left[i] = dpsi + near.position[o * area + i] * l.psi_stride;
      space.rows.out[i] = space.grad_inputs.data() + near.neighbour[o * area + i] * l.v_stride;
    }
    for (int64_t column = 0; column < l.inputs; column += kPanel)
      space.rows.multiply(near.count[o], e.inverse_panel(head, o, column), l.width, column,
                          l.inputs, true);
  }
  for (int64_t m = 0; m < area; ++m)
    add_scaled(grad_set + m * l.channels + input, 1, space.grad_inputs.data() + m * l.v_stride,
               l.inputs);
}

// Adds a batch's part of dW_o of one head, [width, v_stride], and at the centre that of the bias;
// without that of the target's own sets where it goes through cells.
inline void weight_gradient(const Layout& l, const Neighbours& near, int64_t head, int64_t o,
                            bool through_cells, GradientBatch& batch, Array<const float*>& left,
                            Array<const float*>& right, float* grad_weight, float* grad_bias) {
  int64_t size = 0;
  for (int64_t r = 0; r < batch.rois; ++r) {
    const float* inputs = batch.inputs_of(l, r, head / l.heads_of_group);
    for (int64_t i = 0; i < near.count[o]; ++i) {
      const int64_t m = near.position[o * near.area + i];
      if (!through_cells) {
        left[size] = batch.dpsi_of(l, r, head) + m * l.psi_stride;
        right[size++] = inputs + near.neighbour[o * near.area + i] * l.input_stride;
      }
      left[size] = batch.psi_of(l, r, head) + m * l.psi_stride;
      right[size++] = batch.u_of(l, r, head) + (m * kOffsets + o) * l.v_stride;
    }
  }
  outer_product(left.data(), right.data(), size, l.width, l.inputs, grad_weight, l.v_stride);
  if (o != kOffsets / 2 || !grad_bias) return;
  for (int64_t r = 0; r < batch.rois; ++r)
    for (int64_t m = 0; m < near.area; ++m) {
      const float mass = batch.mass[(r * l.heads + head) * near.area + m];
      const int64_t at = m * l.psi_stride;
      add_scaled(grad_bias, 1, batch.dpsi_of(l, r, head) + at, l.width);
      add_scaled(grad_bias, mass, batch.psi_of(l, r, head) + at, l.width);
    }
}

}  // namespace TROVID_ISA
