// The attention's 3x3 embedding psi on the RoI grid, and what it leaves to do for support frames.
//
// The logit of a support frame is psi(X')(m) . psi(X)(m). Since psi is linear but for its bias,
//     psi(X')(m) . psi(X)(m) = sum over offsets o of X'(m + o) . V(m, o) + bias . psi(X)(m)
// with V(m, o) = W_o^T psi(X)(m), which is computed once a RoI. Only offsets that stay on the grid
// are there: that is the zero padding.
#pragma once

#include "product.h"
#include "sampling.h"

namespace TROVID_ISA {

constexpr int64_t kOffsets = 9;

inline int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

// For each of the 3x3 offsets the positions whose neighbour lies on the grid, and that neighbour.
struct Neighbours {
  int64_t area;
  int64_t count[kOffsets];
  Array<int32_t> position, neighbour;  // [kOffsets, area]
  Array<int32_t> of;                   // [area, kOffsets]: the neighbour, or -1

  Neighbours(int64_t height, int64_t width)
      : area(height * width), position(kOffsets * area), neighbour(kOffsets * area),
        of(kOffsets * area) {
    for (int64_t o = 0; o < kOffsets; ++o) {
      count[o] = 0;
      for (int64_t m = 0; m < area; ++m) {
        const int64_t y = m / width + o / 3 - 1, x = m % width + o % 3 - 1;
        const bool inside = y >= 0 && y < height && x >= 0 && x < width;
        const int32_t n = inside ? static_cast<int32_t>(y * width + x) : -1;
        of[m * kOffsets + o] = n;
        if (!inside) continue;
        position[o * area + count[o]] = static_cast<int32_t>(m);
        neighbour[o * area + count[o]++] = n;
      }
    }
  }

  // The position whose neighbour at offset o is n, or -1.
  int32_t from(int64_t n, int64_t o) const { return of[n * kOffsets + kOffsets - 1 - o]; }
};

// How channels, heads and groups lie. A group is what one convolution reads and writes together:
// a head where the embedding is grouped, all channels where it is dense.
struct Layout {
  int64_t channels, heads, width, inputs, groups, heads_of_group;
  int64_t psi_stride, v_stride, input_stride;

  explicit Layout(const trovid_problem& p)
      : channels(p.channels), heads(p.num_heads), width(p.channels / p.num_heads),
        inputs(p.dense ? p.channels : width), groups(p.dense ? 1 : p.num_heads),
        heads_of_group(heads / groups), psi_stride(round_up(width, kPanel)),
        v_stride(round_up(inputs, kPanel)), input_stride(round_up(inputs, kWidth)) {}

  // First channel that the group of a head reads.
  int64_t first_input(int64_t head) const { return inputs == channels ? 0 : head * width; }
  // First channel of the head among those that its group reads.
  int64_t within_inputs(int64_t head) const { return head * width - first_input(head); }
};

// The weights as panels for both directions.
struct Embedding {
  const Layout& layout;
  const float* bias;
  Array<float> forward;  // [heads, kOffsets, panels of width, inputs, kPanel]
  Array<float> inverse;  // [heads, kOffsets, panels of inputs, width, kPanel]

  Embedding(const trovid_problem& p, const Layout& l)
      : layout(l), bias(p.bias), forward(l.heads * kOffsets * l.psi_stride * l.inputs),
        inverse(l.heads * kOffsets * l.v_stride * l.width) {
    parallel(l.heads * kOffsets, p.threads, [&](int64_t task, int64_t) {
      const int64_t head = task / kOffsets, o = task % kOffsets;
      const float* from = p.weight + head * l.width * l.inputs * kOffsets + o;
      float* to = forward.data() + task * l.psi_stride * l.inputs;
      for (int64_t i = 0; i < l.inputs; ++i)
        for (int64_t j = 0; j < l.psi_stride; ++j)
          to[(j / kPanel * l.inputs + i) * kPanel + j % kPanel] =
              j < l.width ? from[(j * l.inputs + i) * kOffsets] : 0;
      to = inverse.data() + task * l.v_stride * l.width;
      for (int64_t j = 0; j < l.width; ++j)
        for (int64_t i = 0; i < l.v_stride; ++i)
          to[(i / kPanel * l.width + j) * kPanel + i % kPanel] =
              i < l.inputs ? from[(j * l.inputs + i) * kOffsets] : 0;
    });
  }

  const float* forward_panel(int64_t head, int64_t o, int64_t column) const {
    return forward.data() + (head * kOffsets + o) * layout.psi_stride * layout.inputs +
           column * layout.inputs;
  }
  const float* inverse_panel(int64_t head, int64_t o, int64_t column) const {
    return inverse.data() + (head * kOffsets + o) * layout.v_stride * layout.width +
           column * layout.width;
  }
};

// Pointers to the rows of a product over several RoIs.
struct RowPointers {
  Array<const float*> left;
  Array<float*> out, shifted;

  explicit RowPointers(int64_t rows) : left(rows), out(rows), shifted(rows) {}

  void multiply(int64_t rows, const float* panel, int64_t depth, int64_t column, int64_t columns,
                bool accumulate) {
    for (int64_t i = 0; i < rows; ++i) shifted[i] = out[i] + column;
    const int64_t left_over = columns - column;
    product(left.data(), rows, panel, kPanel, depth, left_over < kPanel ? left_over : kPanel,
            shifted.data(), accumulate);
  }
};

// psi of one head for `count` RoIs: [count, area, psi_stride], with the bias. inputs[r] is the set
// of RoI r, [area, stride], at the head's first input.
inline void embed(const Embedding& e, const Neighbours& near, int64_t head,
                  const float* const* inputs, int64_t stride, int64_t count, RowPointers& rows,
                  float* psi) {
  const Layout& l = e.layout;
  for (int64_t m = 0; m < count * near.area; ++m)
    for (int64_t j = 0; j < l.psi_stride; ++j)
      psi[m * l.psi_stride + j] = e.bias && j < l.width ? e.bias[head * l.width + j] : 0;
  for (int64_t o = 0; o < kOffsets; ++o) {
    int64_t size = 0;
    for (int64_t r = 0; r < count; ++r)
      for (int64_t i = 0; i < near.count[o]; ++i, ++size) {
        rows.left[size] = inputs[r] + near.neighbour[o * near.area + i] * stride;
        rows.out[size] = psi + (r * near.area + near.position[o * near.area + i]) * l.psi_stride;
      }
    for (int64_t column = 0; column < l.width; column += kPanel)
      rows.multiply(size, e.forward_panel(head, o, column), l.inputs, column, l.width, true);
  }
}

// V of one head for `count` RoIs: [count, area, kOffsets, v_stride]; offsets off the grid are not
// written.
inline void absorb(const Embedding& e, const Neighbours& near, int64_t head, const float* psi,
                   int64_t count, RowPointers& rows, float* v) {
  const Layout& l = e.layout;
  for (int64_t o = 0; o < kOffsets; ++o) {
    int64_t size = 0;
    for (int64_t r = 0; r < count; ++r)
      for (int64_t i = 0; i < near.count[o]; ++i, ++size) {
        const int64_t m = r * near.area + near.position[o * near.area + i];
        rows.left[size] = psi + m * l.psi_stride;
        rows.out[size] = v + (m * kOffsets + o) * l.v_stride;
      }
    for (int64_t column = 0; column < l.inputs; column += kPanel)
      rows.multiply(size, e.inverse_panel(head, o, column), l.width, column, l.inputs, false);
  }
}

}  // namespace TROVID_ISA
