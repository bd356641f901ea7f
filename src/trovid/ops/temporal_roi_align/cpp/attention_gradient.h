// The gradient of the temporal attention, recomputed from the choice of the forward pass.
//
// With dl the gradient of a logit (times its scale), a the attention weight and psi = psi(X):
//     dX'_t(n)  = a_t(n) dO(n) + sum over offsets of dl_t(n - o) V(n - o, o)
//     U(m, o)   = sum over t of dl_t(m) X'_t(m + o)
//     dpsi(m)   = sum over offsets of W_o U(m, o) + bias sum_t dl_t(m) + 2 dl_0(m) psi(m)
//     dX(n)     = a_0(n) dO(n) + sum over offsets of W_o^T dpsi(n - o)
//     dW_o      = sum over m of dpsi(m) X(m + o)^T + psi(m) U(m, o)^T
// so that no support frame is embedded here either. Where psi comes through the cells of the map,
// the last line's first product and W_o^T dpsi go through them as well. dX' is the next phase's
// (support_gradient.h): it exists for one position at a time.
#pragma once

#include "attention.h"
#include "gradient_batch.h"

namespace TROVID_ISA {

// Working memory of one thread.
struct GradientSpace {
  RowPointers rows;
  Array<float> similar, grad_inputs;

  GradientSpace(const Layout& l, int64_t area, int64_t frames)
      : rows(area > kOffsets * l.heads_of_group ? area : kOffsets * l.heads_of_group),
        similar(frames * area * l.input_stride), grad_inputs(area * l.v_stride) {
    similar.fill(frames * area * l.input_stride, 0);
  }
};

// From logits to attention weights, in place, and from the weights' gradients to those of the
// logits; both [area, count].
inline void softmax_gradient(float* logits, float* grad, int64_t count, int64_t area, float scale) {
  for (int64_t m = 0; m < area; ++m, logits += count, grad += count) {
    float top = logits[0], mass = 0, mean = 0;
    for (int64_t t = 1; t < count; ++t) top = logits[t] > top ? logits[t] : top;
    for (int64_t t = 0; t < count; ++t) mass += logits[t] = std::exp(logits[t] - top);
    for (int64_t t = 0; t < count; ++t) {
      logits[t] /= mass;
      mean += logits[t] * grad[t];
    }
    for (int64_t t = 0; t < count; ++t) grad[t] = logits[t] * (grad[t] - mean) * scale;
  }
}

// U of all heads of a group, [area, kOffsets, v_stride] each.
inline void weighted_similar(const Neighbours& near, int64_t group, int64_t r, GradientBatch& batch,
                             GradientSpace& space) {
  const Layout& l = batch.l;
  const int64_t count = batch.frames + 1;
  RowPointers& rows = space.rows;
  for (int64_t n = 0; n < near.area; ++n) {
    int64_t size = 0;
    for (int64_t head = group * l.heads_of_group; head < (group + 1) * l.heads_of_group; ++head)
      for (int64_t o = 0; o < kOffsets; ++o) {
        const int32_t m = near.from(n, o);
        if (m < 0) continue;
        rows.left[size] = batch.grad_logits_of(r, head) + m * count + 1;
        rows.out[size++] = batch.u_of(r, head) + (m * kOffsets + o) * l.v_stride;
      }
    product(rows.left.data(), size, space.similar.data() + n * batch.frames * l.input_stride,
            l.input_stride, batch.frames, l.inputs, rows.out.data(), false);
  }
}

// One head of one RoI up to the gradients of its logits; starts dpsi. Where there are `cells`, the
// RoI's positions begin at `position` there. set and grad_set [area, channels].
inline void logit_gradient(const Embedding& e, const CellEmbedding* cells, const Neighbours& near,
                           float scale, int64_t head, int64_t r, int64_t position,
                           const float* set, float* grad_set, GradientBatch& batch,
                           GradientSpace& space) {
  const Layout& l = e.layout;
  const int64_t area = near.area, frames = batch.frames, count = frames + 1;
  const int64_t own = head * l.width, within = l.within_inputs(head);
  float* psi = batch.psi_of(r, head);
  float* dpsi = batch.dpsi_of(r, head);
  float* mass = batch.mass_of(r, head);
  float* weights = batch.weights_of(r, head);
  float* grad = batch.grad_logits_of(r, head);
  const float* grad_output = batch.grad_output_of(r) + own;

  if (cells) {
    cells->embed(near, head, position, psi);
  } else {
    const float* inputs = batch.inputs_of(r, head / l.heads_of_group);
    embed(e, near, head, &inputs, l.input_stride, 1, space.rows, psi);
  }
  absorb(e, near, head, psi, 1, space.rows, batch.v_of(r, head));
  support_logits(l, near, batch.v_of(r, head), space.similar.data(), frames, weights + 1, count);
  for (int64_t m = 0; m < area; ++m) {
    const float* value = psi + m * l.psi_stride;
    const float* output = grad_output + m * l.channels;
    const float* similar = space.similar.data() + m * frames * l.input_stride + within;
    const float constant = e.bias ? dot(e.bias + own, value, l.width) : 0.0f;
    weights[m * count] = scale * dot(value, value, l.width);
    grad[m * count] = dot(output, set + m * l.channels + own, l.width);
    for (int64_t t = 1; t < count; ++t) {
      weights[m * count + t] = scale * (weights[m * count + t] + constant);
      grad[m * count + t] = dot(output, similar + (t - 1) * l.input_stride, l.width);
    }
  }
  softmax_gradient(weights, grad, count, area, scale);
  for (int64_t m = 0; m < area; ++m) {
    add_scaled(grad_set + m * l.channels + own, weights[m * count], grad_output + m * l.channels,
               l.width);
    mass[m] = 0;
    for (int64_t t = 1; t < count; ++t) mass[m] += grad[m * count + t];
    for (int64_t j = 0; j < l.psi_stride; ++j) {
      const float bias = e.bias && j < l.width ? e.bias[own + j] : 0;
      dpsi[m * l.psi_stride + j] = bias * mass[m] + 2 * grad[m * count] * psi[m * l.psi_stride + j];
    }
  }
}

// dpsi += sum over offsets of W_o U(m, o), of one head of one RoI.
inline void add_support_to_psi(const Embedding& e, const Neighbours& near, int64_t head, int64_t r,
                               GradientBatch& batch, GradientSpace& space) {
  const Layout& l = e.layout;
  for (int64_t o = 0; o < kOffsets; ++o) {
    for (int64_t i = 0; i < near.count[o]; ++i) {
      const int64_t m = near.position[o * near.area + i];
      space.rows.left[i] = batch.u_of(r, head) + (m * kOffsets + o) * l.v_stride;
      space.rows.out[i] = batch.dpsi_of(r, head) + m * l.psi_stride;
    }
    for (int64_t column = 0; column < l.width; column += kPanel)
      space.rows.multiply(near.count[o], e.forward_panel(head, o, column), l.inputs, column,
                          l.width, true);
  }
}

// grad_set += W_o^T dpsi of one head of one RoI, position by position.
inline void add_psi_to_set(const Embedding& e, const Neighbours& near, int64_t head, int64_t r,
                           float* grad_set, GradientBatch& batch, GradientSpace& space) {
  const Layout& l = e.layout;
  space.grad_inputs.fill(near.area * l.v_stride, 0);
  for (int64_t o = 0; o < kOffsets; ++o) {
    for (int64_t i = 0; i < near.count[o]; ++i) {
      space.rows.left[i] =
          batch.dpsi_of(r, head) + near.position[o * near.area + i] * l.psi_stride;
      space.rows.out[i] =
          space.grad_inputs.data() + near.neighbour[o * near.area + i] * l.v_stride;
    }
    for (int64_t column = 0; column < l.inputs; column += kPanel)
      space.rows.multiply(near.count[o], e.inverse_panel(head, o, column), l.width, column,
                          l.inputs, true);
  }
  for (int64_t m = 0; m < near.area; ++m)
    add_scaled(grad_set + m * l.channels + l.first_input(head), 1,
               space.grad_inputs.data() + m * l.v_stride, l.inputs);
}

// One group of one RoI: fills the batch's psi, dpsi, V, U, mass, weights and grad_logits; adds to
// grad_set all but what the choice has to do with. The most similar features are in the space.
inline void attend_gradient(const Embedding& e, const CellEmbedding* cells, const Neighbours& near,
                            float scale, int64_t group, int64_t r, int64_t position,
                            const float* set, float* grad_set, GradientBatch& batch,
                            GradientSpace& space) {
  const Layout& l = e.layout;
  const int64_t first = group * l.heads_of_group, last = first + l.heads_of_group;
  for (int64_t head = first; head < last; ++head)
    logit_gradient(e, cells, near, scale, head, r, position, set, grad_set, batch, space);
  weighted_similar(near, group, r, batch, space);
  for (int64_t head = first; head < last; ++head) {
    add_support_to_psi(e, near, head, r, batch, space);
    if (!cells) add_psi_to_set(e, near, head, r, grad_set, batch, space);
  }
}

// Adds a batch's part of dW_o of one head, [width, v_stride], and at the centre that of the bias;
// without that of the target's own sets where it goes through cells.
inline void weight_gradient(const Neighbours& near, int64_t head, int64_t o, bool through_cells,
                            GradientBatch& batch, Array<const float*>& left,
                            Array<const float*>& right, float* grad_weight, float* grad_bias) {
  const Layout& l = batch.l;
  int64_t size = 0;
  for (int64_t r = 0; r < batch.rois; ++r)
    for (int64_t i = 0; i < near.count[o]; ++i) {
      const int64_t m = near.position[o * near.area + i];
      if (!through_cells) {
        left[size] = batch.dpsi_of(r, head) + m * l.psi_stride;
        right[size++] = batch.inputs_of(r, head / l.heads_of_group) +
                        near.neighbour[o * near.area + i] * l.input_stride;
      }
      left[size] = batch.psi_of(r, head) + m * l.psi_stride;
      right[size++] = batch.u_of(r, head) + (m * kOffsets + o) * l.v_stride;
    }
  outer_product(left.data(), right.data(), size, l.width, l.inputs, grad_weight, l.v_stride);
  if (o != kOffsets / 2 || !grad_bias) return;
  for (int64_t r = 0; r < batch.rois; ++r)
    for (int64_t m = 0; m < near.area; ++m) {
      add_scaled(grad_bias, 1, batch.dpsi_of(r, head) + m * l.psi_stride, l.width);
      add_scaled(grad_bias, batch.mass_of(r, head)[m], batch.psi_of(r, head) + m * l.psi_stride,
                 l.width);
    }
}

}  // namespace TROVID_ISA
