// What the phases of the backward pass hand on: some RoIs of one video at a time.
#pragma once

#include "embedding.h"

namespace TROVID_ISA {

struct GradientBatch {
  const Layout& l;
  const int64_t frames, area, top_k;
  int64_t rois = 0;           // at present
  Array<float> grad_output;   // [rois, area, channels]
  Array<float> inputs;        // [rois, groups, area, input_stride], the sets with padding
  Array<float> psi, dpsi;     // [rois, heads, area, psi_stride]
  Array<float> v, u;          // [rois, heads, area, kOffsets, v_stride]
  Array<float> mass;          // [rois, heads, area], sum of dl over the support frames
  Array<float> weights;       // [rois, heads, area, 1 + frames], the target's own first
  Array<float> grad_logits;   // the same
  Array<float> products;      // [groups, rois, frames, area, top_k], of dX' and the chosen cells

  // `attends` is false where the plain mean needs only the weights, and `padded` is true where
  // `inputs` are needed.
  GradientBatch(const Layout& layout, int64_t most, int64_t t, int64_t a, int64_t k, bool attends,
                bool padded)
      : l(layout), frames(t), area(a), top_k(k), grad_output(most * a * layout.channels),
        inputs(padded ? most * layout.groups * a * layout.input_stride : 0),
        weights(most * layout.heads * a * (t + 1)), products(layout.groups * most * t * a * k),
        most_(most) {
    if (!attends) return;
    const int64_t heads = most * l.heads * a;
    psi.resize(heads * l.psi_stride);
    dpsi.resize(heads * l.psi_stride);
    v.resize(heads * kOffsets * l.v_stride);
    u.resize(heads * kOffsets * l.v_stride);
    mass.resize(heads);
    grad_logits.resize(heads * (t + 1));
  }

  static int64_t bytes_of_roi(const Layout& l, int64_t area) {
    const int64_t of_head = 2 * kOffsets * l.v_stride + 2 * l.psi_stride;
    return static_cast<int64_t>(sizeof(float)) * area * (l.heads * of_head + l.channels);
  }

  float* grad_output_of(int64_t r) { return grad_output.data() + r * area * l.channels; }
  float* inputs_of(int64_t r, int64_t group) {
    return inputs.data() + (r * l.groups + group) * area * l.input_stride;
  }
  float* psi_of(int64_t r, int64_t head) { return psi.data() + at(r, head) * l.psi_stride; }
  float* dpsi_of(int64_t r, int64_t head) { return dpsi.data() + at(r, head) * l.psi_stride; }
  float* v_of(int64_t r, int64_t head) { return v.data() + at(r, head) * kOffsets * l.v_stride; }
  float* u_of(int64_t r, int64_t head) { return u.data() + at(r, head) * kOffsets * l.v_stride; }
  float* mass_of(int64_t r, int64_t head) { return mass.data() + at(r, head); }
  float* weights_of(int64_t r, int64_t head) {
    return weights.data() + at(r, head) * (frames + 1);
  }
  float* grad_logits_of(int64_t r, int64_t head) {
    return grad_logits.data() + at(r, head) * (frames + 1);
  }
  float* products_of(int64_t r, int64_t group) {
    return products.data() + (group * most_ + r) * frames * area * top_k;
  }

 private:
  int64_t at(int64_t r, int64_t head) const { return (r * l.heads + head) * area; }

  const int64_t most_;
};

}  // namespace TROVID_ISA
