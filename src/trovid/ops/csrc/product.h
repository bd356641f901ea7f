// Products of matrices whose rows lie anywhere, 64 columns at a time.
#pragma once

#include <cstring>

#include "simd.h"

namespace TROVID_ISA {

// Columns of a panel. A panel [depth][kPanel] is one operand, packed.
constexpr int kPanel = 64;
constexpr int kTileRows = 6;
constexpr int kLine = 16;  // floats of a line of the cache
constexpr int kTileVecs = kWidth == 16 ? 4 : 2;

inline int64_t panels_of(int64_t columns) { return (columns + kPanel - 1) / kPanel; }

// What is multiplied: floats.
struct Floats {
  static float spread(float value) { return value; }
  static Vec add(Vec sum, float left, Vec right) { return sum + left * right; }
};

// One tile: Rows rows times Vecs vectors of columns. Element (i, p) of the left operand is
// left[i][p]; row p of the right one starts at right + p * kPanel. Meanwhile the rows of the next
// tile are fetched into the cache.
template <typename Kind, int Rows, int Vecs>
inline void tile(const float* const* left, const float* const* next, const float* right,
                 int64_t depth, float* const* out, int64_t column, bool accumulate) {
  Vec sums[Rows][Vecs];
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < Vecs; ++j)
      sums[i][j] = accumulate ? load(out[i] + column + j * kWidth) : Vec{};
#pragma GCC unroll 4
  for (int64_t p = 0; p < depth; ++p) {
    if (p % kLine == 0)
      for (int i = 0; i < Rows; ++i) __builtin_prefetch(next[i] + p);
    Vec row[Vecs];
#pragma GCC unroll 4
    for (int j = 0; j < Vecs; ++j) row[j] = load(right + p * kPanel + column + j * kWidth);
#pragma GCC unroll 6
    for (int i = 0; i < Rows; ++i) {
      const auto factor = Kind::spread(left[i][p]);
#pragma GCC unroll 4
      for (int j = 0; j < Vecs; ++j) sums[i][j] = Kind::add(sums[i][j], factor, row[j]);
    }
  }
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < Vecs; ++j) store(out[i] + column + j * kWidth, sums[i][j]);
}

template <typename Kind, int Vecs>
inline void tiles(const float* const* left, int64_t rows, const float* right, int64_t depth,
                  float* const* out, int64_t column, bool accumulate) {
  int64_t i = 0;
  for (; i + kTileRows <= rows; i += kTileRows)
    tile<Kind, kTileRows, Vecs>(left + i, left + (i + 2 * kTileRows <= rows ? i + kTileRows : i),
                                right, depth, out + i, column, accumulate);
  const float* const* last = left + i;
  switch (rows - i) {
    case 1: tile<Kind, 1, Vecs>(last, last, right, depth, out + i, column, accumulate); break;
    case 2: tile<Kind, 2, Vecs>(last, last, right, depth, out + i, column, accumulate); break;
    case 3: tile<Kind, 3, Vecs>(last, last, right, depth, out + i, column, accumulate); break;
    case 4: tile<Kind, 4, Vecs>(last, last, right, depth, out + i, column, accumulate); break;
    case 5: tile<Kind, 5, Vecs>(last, last, right, depth, out + i, column, accumulate); break;
    default: break;
  }
}

// out[i][0..columns) = (or, to accumulate, +=) sum over p of left[i][p] * panel[p][..].
// Written up to the next multiple of kWidth; columns <= kPanel.
template <typename Kind = Floats>
inline void product(const float* const* left, int64_t rows, const float* panel, int64_t depth,
                    int64_t columns, float* const* out, bool accumulate) {
  const int64_t vecs = (columns + kWidth - 1) / kWidth;
  int64_t vec = 0;
  for (; vec + kTileVecs <= vecs; vec += kTileVecs)
    tiles<Kind, kTileVecs>(left, rows, panel, depth, out, vec * kWidth, accumulate);
  switch (vecs - vec) {
    case 1: tiles<Kind, 1>(left, rows, panel, depth, out, vec * kWidth, accumulate); break;
    case 2: tiles<Kind, 2>(left, rows, panel, depth, out, vec * kWidth, accumulate); break;
    case 3: tiles<Kind, 3>(left, rows, panel, depth, out, vec * kWidth, accumulate); break;
    default: break;
  }
}

// out[i][..] += sum over p of left[p][i] * right[p][..], i < Rows: a product over rows.
template <int Rows, int Vecs>
inline void outer_tile(const float* const* left, const float* const* right, int64_t depth,
                       int64_t row, int64_t column, float* out, int64_t stride) {
  Vec sums[Rows][Vecs];
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < Vecs; ++j) sums[i][j] = load(out + i * stride + j * kWidth);
  for (int64_t p = 0; p < depth; ++p) {
    Vec values[Vecs];
#pragma GCC unroll 4
    for (int j = 0; j < Vecs; ++j) values[j] = load(right[p] + column + j * kWidth);
#pragma GCC unroll 6
    for (int i = 0; i < Rows; ++i) {
      const float factor = left[p][row + i];
#pragma GCC unroll 4
      for (int j = 0; j < Vecs; ++j) sums[i][j] += factor * values[j];
    }
  }
  for (int i = 0; i < Rows; ++i)
    for (int j = 0; j < Vecs; ++j) store(out + i * stride + j * kWidth, sums[i][j]);
}

// out[rows][columns] += sum over p < depth of left[p][0..rows)^T right[p][0..columns). Rows of
// `right` must be readable, and rows of `out` writable, up to the next multiple of kWidth.
inline void outer_product(const float* const* left, const float* const* right, int64_t depth,
                          int64_t rows, int64_t columns, float* out, int64_t stride) {
  const int64_t vecs = (columns + kWidth - 1) / kWidth;
  for (int64_t vec = 0; vec < vecs;) {
    const int64_t column = vec * kWidth;
    const bool wide = vec + kTileVecs <= vecs;
    int64_t i = 0;
    for (; i + kTileRows <= rows; i += kTileRows) {
      float* to = out + i * stride + column;
      if (wide)
        outer_tile<kTileRows, kTileVecs>(left, right, depth, i, column, to, stride);
      else
        outer_tile<kTileRows, 1>(left, right, depth, i, column, to, stride);
    }
    for (; i < rows; ++i) {
      float* to = out + i * stride + column;
      if (wide)
        outer_tile<1, kTileVecs>(left, right, depth, i, column, to, stride);
      else
        outer_tile<1, 1>(left, right, depth, i, column, to, stride);
    }
    vec += wide ? kTileVecs : 1;
  }
}

constexpr int kBlock = 8;

// to[c][r] = from[r][c] for a block of at most kBlock x kBlock.
inline void transpose_block(const float* from, int64_t from_stride, int64_t rows, int64_t columns,
                            float* to, int64_t to_stride) {
  if (rows == kBlock && columns == kBlock) {
    float block[kBlock][kBlock];
    for (int r = 0; r < kBlock; ++r) std::memcpy(block[r], from + r * from_stride, sizeof block[r]);
    for (int c = 0; c < kBlock; ++c) {
      float* line = to + c * to_stride;
      for (int r = 0; r < kBlock; ++r) line[r] = block[r][c];
    }
    return;
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) to[c * to_stride + r] = from[r * from_stride + c];
}

// to [columns][to_stride] = from [rows][from_stride] transposed.
inline void transpose(const float* from, int64_t from_stride, int64_t rows, int64_t columns,
                      float* to, int64_t to_stride) {
  for (int64_t r = 0; r < rows; r += kBlock)
    for (int64_t c = 0; c < columns; c += kBlock)
      transpose_block(from + r * from_stride + c, from_stride, rows - r < kBlock ? rows - r : kBlock,
                      columns - c < kBlock ? columns - c : kBlock, to + c * to_stride + r, to_stride);
}

}  // namespace TROVID_ISA
