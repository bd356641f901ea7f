// psi through the cells of the target map, for many RoIs.
//
// X(m) is a combination of cells, so psi(X)(m) = bias + sum over offsets and cells of w W_o F(cell):
// each W_o F(cell) is computed once, however many positions read the cell. The gradient goes the
// same way: G_o(cell) sums w dpsi(m), and W_o^T G_o(cell) is what the map receives.
#pragma once

#include "embedding.h"
#include "most_similar.h"

namespace TROVID_ISA {

// The cells of one target map that some positions read.
struct UsedCells {
  const Combination& combination;
  int64_t positions, count = 0;
  Array<int32_t> row_of;  // [cells of the map]: place among those in use, or -1
  Array<int32_t> cell_of;

  UsedCells(const Combination& c, int64_t m, int64_t size)
      : combination(c), positions(m), row_of(size), cell_of(size) {
    row_of.fill(size, -1);
    for (int64_t e = 0; e < entries(); ++e) row_of[c.row[e]] = 0;
    for (int64_t i = 0; i < size; ++i)
      if (row_of[i] == 0) {
        row_of[i] = static_cast<int32_t>(count);
        cell_of[count++] = static_cast<int32_t>(i);
      }
  }

  int64_t entries() const { return combination.begin[positions]; }

  // Whether the embedding through cells takes fewer operations than that of the positions; to
  // combine an entry costs about as much as two multiplications.
  bool pay(const Layout& l) const {
    return count * l.inputs + 2 * entries() < positions * l.inputs;
  }
};

constexpr int64_t kCellRows = 48;  // rows that one task multiplies

// W_o F(cell) of some heads for all cells in use: [heads, kOffsets, count, psi_stride].
class CellEmbedding {
 public:
  CellEmbedding(const Embedding* e, const UsedCells& u, const float* map, int64_t first_head,
                int64_t heads, int64_t threads)
      : used(u), e_(*e), map_(map), first_head_(first_head),
        table_(heads * kOffsets * u.count * e->layout.psi_stride) {
    const Layout& l = e->layout;
    const int64_t blocks = (u.count + kCellRows - 1) / kCellRows;
    PerThread<RowPointers> spaces(threads, kCellRows);
    parallel(heads * blocks, threads, [&](int64_t task, int64_t thread) {
      const int64_t head = first_head + task / blocks, first = task % blocks * kCellRows;
      const int64_t rows = u.count - first < kCellRows ? u.count - first : kCellRows;
      RowPointers& space = spaces[thread];
      for (int64_t i = 0; i < rows; ++i)
        space.left[i] = map + u.cell_of[first + i] * l.channels + l.first_input(head);
      for (int64_t o = 0; o < kOffsets; ++o) {
        float* to = table_.data() +
                    ((task / blocks * kOffsets + o) * u.count + first) * l.psi_stride;
        for (int64_t i = 0; i < rows; ++i) space.out[i] = to + i * l.psi_stride;
        for (int64_t column = 0; column < l.width; column += kPanel)
          space.multiply(rows, e->forward_panel(head, o, column), l.inputs, column, l.psi_stride,
                         false);
      }
    });
  }

  // psi of one head for the RoI whose positions begin at `first`: [area, psi_stride].
  void embed(const Neighbours& near, int64_t head, int64_t first, float* psi) const {
    const Layout& l = e_.layout;
    constexpr int kWide = 8 * kWidth, kNarrow = 4 * kWidth;
    for (int64_t m = 0; m < near.area; ++m) {
      float* to = psi + m * l.psi_stride;
      for (int64_t j = 0; j < l.psi_stride; ++j)
        to[j] = e_.bias && j < l.width ? e_.bias[head * l.width + j] : 0;
      int64_t j = 0;
      for (; j + kWide <= l.psi_stride; j += kWide) add<8>(near, head, first, m, j, to + j);
      for (; j < l.psi_stride; j += kNarrow) add<4>(near, head, first, m, j, to + j);
    }
  }

  // Position `at` itself, `width` channels from `channel` on.
  void pool(int64_t at, int64_t channel, int64_t width, float* to) const {
    const Combination& c = used.combination;
    gather(map_ + channel, e_.layout.channels, c.row.data() + c.begin[at],
           c.weight.data() + c.begin[at], c.begin[at + 1] - c.begin[at], width, to);
  }

  const UsedCells& used;

 private:
  template <int Vecs>
  void add(const Neighbours& near, int64_t head, int64_t first, int64_t m, int64_t column,
           float* to) const {
    const int64_t stride = e_.layout.psi_stride;
    const Combination& c = used.combination;
    Vec sums[Vecs];
#pragma GCC unroll 8
    for (int j = 0; j < Vecs; ++j) sums[j] = load(to + j * kWidth);
    for (int64_t o = 0; o < kOffsets; ++o) {
      const int32_t n = near.of[m * kOffsets + o];
      if (n < 0) continue;
      const float* table =
          table_.data() + ((head - first_head_) * kOffsets + o) * used.count * stride + column;
      for (int64_t at = c.begin[first + n]; at < c.begin[first + n + 1]; ++at) {
        const float* from = table + used.row_of[c.row[at]] * stride;
        const float weight = c.weight[at];
#pragma GCC unroll 8
        for (int j = 0; j < Vecs; ++j) sums[j] += weight * load(from + j * kWidth);
      }
    }
#pragma GCC unroll 8
    for (int j = 0; j < Vecs; ++j) store(to + j * kWidth, sums[j]);
  }

  const Embedding& e_;
  const float* map_;
  int64_t first_head_;
  Array<float> table_;
};

// The gradient through the cells: what the positions' gradients of psi add to each cell, and what
// that means for the map and for the weights.
class CellEmbeddingGradient {
 public:
  CellEmbeddingGradient(const Embedding* e, const UsedCells& u)
      : e_(*e), used_(u), size_(u.count * e->layout.psi_stride),
        sums_(e->layout.heads * kOffsets * size_) {
    std::memset(sums_.data(), 0, sizeof(float) * e->layout.heads * kOffsets * size_);
  }

  // Adds dpsi [area, psi_stride] of one head of the RoI whose positions begin at `first` to the
  // cells, at one offset.
  void add(const Neighbours& near, int64_t head, int64_t o, int64_t first, const float* dpsi) {
    const int64_t stride = e_.layout.psi_stride;
    const Combination& c = used_.combination;
    float* sums = sums_.data() + (head * kOffsets + o) * size_;
    for (int64_t i = 0; i < near.count[o]; ++i) {
      const int64_t n = first + near.neighbour[o * near.area + i];
      const float* from = dpsi + near.position[o * near.area + i] * stride;
      for (int64_t at = c.begin[n]; at < c.begin[n + 1]; ++at)
        add_scaled(sums + used_.row_of[c.row[at]] * stride, c.weight[at], from, stride);
    }
  }

  // Adds to the gradient of the map [cells, channels] and to that of the weights
  // [heads, kOffsets, width, v_stride].
  void finish(const float* map, int64_t threads, float* grad_map, float* grad_weight) const {
    const Layout& l = e_.layout;
    const int64_t blocks = (used_.count + kCellRows - 1) / kCellRows;
    PerThread<RowPointers> spaces(threads, kCellRows);
    PerThread<Array<float>> sums(threads, kCellRows * l.v_stride);
    parallel(l.groups * blocks, threads, [&](int64_t task, int64_t thread) {
      const int64_t group = task / blocks, first = task % blocks * kCellRows;
      const int64_t rows = used_.count - first < kCellRows ? used_.count - first : kCellRows;
      RowPointers& space = spaces[thread];
      float* grad = sums[thread].data();
      std::memset(grad, 0, sizeof(float) * rows * l.v_stride);
      for (int64_t i = 0; i < rows; ++i) space.out[i] = grad + i * l.v_stride;
      for (int64_t at = group * l.heads_of_group * kOffsets;
           at < (group + 1) * l.heads_of_group * kOffsets; ++at) {
        for (int64_t i = 0; i < rows; ++i)
          space.left[i] = sums_.data() + at * size_ + (first + i) * l.psi_stride;
        for (int64_t column = 0; column < l.inputs; column += kPanel)
          space.multiply(rows, e_.inverse_panel(at / kOffsets, at % kOffsets, column), l.width,
                         column, l.inputs, true);
      }
      const int64_t input = l.first_input(group * l.heads_of_group);
      for (int64_t i = 0; i < rows; ++i)
        add_scaled(grad_map + used_.cell_of[first + i] * l.channels + input, 1,
                   grad + i * l.v_stride, l.inputs);
    });
    Array<float> padded;
    const bool whole = l.inputs % kWidth == 0;
    if (!whole) padded.resize(used_.count * l.groups * l.input_stride);
    Array<const float*> right(l.groups * used_.count);
    for (int64_t group = 0; group < l.groups; ++group)
      for (int64_t i = 0; i < used_.count; ++i) {
        const float* from =
            map + used_.cell_of[i] * l.channels + l.first_input(group * l.heads_of_group);
        const int64_t at = group * used_.count + i;
        right[at] = whole ? from : padded.data() + at * l.input_stride;
        if (whole) continue;
        std::memset(padded.data() + at * l.input_stride, 0, sizeof(float) * l.input_stride);
        std::memcpy(padded.data() + at * l.input_stride, from, sizeof(float) * l.inputs);
      }
    PerThread<Array<const float*>> left(threads, used_.count);
    parallel(l.heads * kOffsets, threads, [&](int64_t task, int64_t thread) {
      const int64_t group = task / kOffsets / l.heads_of_group;
      for (int64_t i = 0; i < used_.count; ++i)
        left[thread][i] = sums_.data() + task * size_ + i * l.psi_stride;
      outer_product(left[thread].data(), right.data() + group * used_.count, used_.count, l.width,
                    l.inputs, grad_weight + task * l.width * l.v_stride, l.v_stride);
    });
  }

 private:
  const Embedding& e_;
  const UsedCells& used_;
  int64_t size_;
  Array<float> sums_;  // [heads, kOffsets, count, psi_stride]
};

}  // namespace TROVID_ISA
