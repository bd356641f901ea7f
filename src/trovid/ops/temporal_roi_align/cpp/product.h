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
  static void next_row() {}
};

// One tile: Rows rows times Vecs vectors of columns. Element (i, p) of the left operand is
// left[i][p]; row p of the right one starts at right + p * stride. Meanwhile the rows of the next
// tile are fetched into the cache. Every loop over sums is unrolled, or they leave the registers.
template <typename Kind, int Rows, int Vecs>
inline void tile(const float* const* left, const float* const* next, const float* right,
                 int64_t stride, int64_t depth, float* const* out, int64_t column,
                 bool accumulate) {
  Vec sums[Rows][Vecs];
#pragma GCC unroll 6
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < Vecs; ++j)
      sums[i][j] = accumulate ? load(out[i] + column + j * kWidth) : Vec{};
  const float* from = right + column;
  for (int64_t first = 0; first < depth; first += kLine) {
    for (int i = 0; i < Rows; ++i) __builtin_prefetch(next[i] + first);
    const int64_t last = first + kLine < depth ? first + kLine : depth;
#pragma GCC unroll 4
    for (int64_t p = first; p < last; ++p, from += stride) {
      Vec row[Vecs];
#pragma GCC unroll 4
      for (int j = 0; j < Vecs; ++j) row[j] = load(from + j * kWidth);
#pragma GCC unroll 6
      for (int i = 0; i < Rows; ++i) {
        const auto factor = Kind::spread(left[i][p]);
#pragma GCC unroll 4
        for (int j = 0; j < Vecs; ++j) sums[i][j] = Kind::add(sums[i][j], factor, row[j]);
        Kind::next_row();
      }
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < Vecs; ++j) store(out[i] + column + j * kWidth, sums[i][j]);
}

template <typename Kind, int Vecs>
inline void tiles(const float* const* left, int64_t rows, const float* right, int64_t stride,
                  int64_t depth, float* const* out, int64_t column, bool accumulate) {
  int64_t i = 0;
  for (; i + kTileRows <= rows; i += kTileRows)
    tile<Kind, kTileRows, Vecs>(left + i, left + (i + 2 * kTileRows <= rows ? i + kTileRows : i),
                                right, stride, depth, out + i, column, accumulate);
  const float* const* last = left + i;
  const auto at = [&](auto run) {
    run(last, last, right, stride, depth, out + i, column, accumulate);
  };
  switch (rows - i) {
    case 1: at(tile<Kind, 1, Vecs>); break;
    case 2: at(tile<Kind, 2, Vecs>); break;
    case 3: at(tile<Kind, 3, Vecs>); break;
    case 4: at(tile<Kind, 4, Vecs>); break;
    case 5: at(tile<Kind, 5, Vecs>); break;
    default: break;
  }
}

// out[i][0..columns) = (or, to accumulate, +=) sum over p of left[i][p] * right[p * stride + ..].
// Read and written up to the next multiple of kWidth.
template <typename Kind = Floats>
inline void product(const float* const* left, int64_t rows, const float* right, int64_t stride,
                    int64_t depth, int64_t columns, float* const* out, bool accumulate) {
  const int64_t vecs = (columns + kWidth - 1) / kWidth;
  int64_t vec = 0;
  const auto at = [&](auto run) {
    run(left, rows, right, stride, depth, out, vec * kWidth, accumulate);
  };
  for (; vec + kTileVecs <= vecs; vec += kTileVecs) at(tiles<Kind, kTileVecs>);
  switch (vecs - vec) {
    case 1: at(tiles<Kind, 1>); break;
    case 2: at(tiles<Kind, 2>); break;
    case 3: at(tiles<Kind, 3>); break;
    default: break;
  }
}

// out[i][..] += sum over p of left[p][i] * right[p][..], i < Rows: a product over rows.
template <int Rows, int Vecs>
inline void outer_tile(const float* const* left, const float* const* right, int64_t depth,
                       int64_t row, int64_t column, float* out, int64_t stride) {
  Vec sums[Rows][Vecs];
#pragma GCC unroll 6
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
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
#pragma GCC unroll 6
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < Vecs; ++j) store(out + i * stride + j * kWidth, sums[i][j]);
}

template <int Vecs>
inline void outer_tiles(const float* const* left, const float* const* right, int64_t depth,
                        int64_t rows, int64_t column, float* out, int64_t stride) {
  const auto at = [&](auto run, int64_t row) {
    run(left, right, depth, row, column, out + row * stride + column, stride);
  };
  for (int64_t i = 0; i < rows;) {
    // Of more than one tile's rows the last two tiles share what is left.
    const int64_t left_over = rows - i;
    const int64_t count = left_over >= 2 * kTileRows ? kTileRows
                          : left_over > kTileRows    ? (left_over + 1) / 2
                                                     : left_over;
    switch (count) {
      case 1: at(outer_tile<1, Vecs>, i); break;
      case 2: at(outer_tile<2, Vecs>, i); break;
      case 3: at(outer_tile<3, Vecs>, i); break;
      case 4: at(outer_tile<4, Vecs>, i); break;
      case 5: at(outer_tile<5, Vecs>, i); break;
      default: at(outer_tile<kTileRows, Vecs>, i); break;
    }
    i += count;
  }
}

// out[rows][columns] += sum over p < depth of left[p][0..rows)^T right[p][0..columns). Rows of
// `right` must be readable, and rows of `out` writable, up to the next multiple of kWidth.
inline void outer_product(const float* const* left, const float* const* right, int64_t depth,
                          int64_t rows, int64_t columns, float* out, int64_t stride) {
  const int64_t vecs = (columns + kWidth - 1) / kWidth;
  int64_t vec = 0;
  for (; vec + kTileVecs <= vecs; vec += kTileVecs)
    outer_tiles<kTileVecs>(left, right, depth, rows, vec * kWidth, out, stride);
  for (; vec < vecs; ++vec)
    outer_tiles<1>(left, right, depth, rows, vec * kWidth, out, stride);
}

#if defined(__AVX512F__)
constexpr int kBlock = 16;
#else
constexpr int kBlock = 8;
#endif

// to[c][r] = from[r][c] for a block of kBlock x kBlock.
inline void transpose_full_block(const float* from, int64_t from_stride, float* to,
                                 int64_t to_stride) {
#if defined(__AVX512F__)
  __m512 a[16], b[16];
  for (int r = 0; r < 16; ++r) a[r] = _mm512_loadu_ps(from + r * from_stride);
  for (int r = 0; r < 16; r += 2) {
    b[r] = _mm512_unpacklo_ps(a[r], a[r + 1]);
    b[r + 1] = _mm512_unpackhi_ps(a[r], a[r + 1]);
  }
  for (int r = 0; r < 16; r += 4)
    for (int k = 0; k < 2; ++k) {
      const __m512d low = _mm512_castps_pd(b[r + k]), high = _mm512_castps_pd(b[r + k + 2]);
      a[r + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      a[r + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  // a[4 * g + k]: of rows 4 g to 4 g + 3 the columns k, k + 4, k + 8, k + 12, four lanes each.
  for (int k = 0; k < 4; ++k) {
    b[k] = _mm512_shuffle_f32x4(a[k], a[4 + k], 0x88);
    b[4 + k] = _mm512_shuffle_f32x4(a[k], a[4 + k], 0xdd);
    b[8 + k] = _mm512_shuffle_f32x4(a[8 + k], a[12 + k], 0x88);
    b[12 + k] = _mm512_shuffle_f32x4(a[8 + k], a[12 + k], 0xdd);
  }
  for (int k = 0; k < 4; ++k) {
    _mm512_storeu_ps(to + k * to_stride, _mm512_shuffle_f32x4(b[k], b[8 + k], 0x88));
    _mm512_storeu_ps(to + (4 + k) * to_stride, _mm512_shuffle_f32x4(b[4 + k], b[12 + k], 0x88));
    _mm512_storeu_ps(to + (8 + k) * to_stride, _mm512_shuffle_f32x4(b[k], b[8 + k], 0xdd));
    _mm512_storeu_ps(to + (12 + k) * to_stride, _mm512_shuffle_f32x4(b[4 + k], b[12 + k], 0xdd));
  }
#elif defined(__AVX2__)
  __m256 a[8], b[8];
  for (int r = 0; r < 8; ++r) a[r] = _mm256_loadu_ps(from + r * from_stride);
  for (int r = 0; r < 8; r += 2) {
    b[r] = _mm256_unpacklo_ps(a[r], a[r + 1]);
    b[r + 1] = _mm256_unpackhi_ps(a[r], a[r + 1]);
  }
  for (int r = 0; r < 8; r += 4)
    for (int k = 0; k < 2; ++k) {
      a[r + 2 * k] = _mm256_shuffle_ps(b[r + k], b[r + k + 2], 0x44);
      a[r + 2 * k + 1] = _mm256_shuffle_ps(b[r + k], b[r + k + 2], 0xee);
    }
  for (int k = 0; k < 4; ++k) {
    _mm256_storeu_ps(to + k * to_stride, _mm256_permute2f128_ps(a[k], a[4 + k], 0x20));
    _mm256_storeu_ps(to + (4 + k) * to_stride, _mm256_permute2f128_ps(a[k], a[4 + k], 0x31));
  }
#else
  float block[kBlock][kBlock];
  for (int r = 0; r < kBlock; ++r) std::memcpy(block[r], from + r * from_stride, sizeof block[r]);
  for (int c = 0; c < kBlock; ++c)
    for (int r = 0; r < kBlock; ++r) to[c * to_stride + r] = block[r][c];
#endif
}

// to[c][r] = from[r][c] for a block of at most kBlock x kBlock.
inline void transpose_block(const float* from, int64_t from_stride, int64_t rows, int64_t columns,
                            float* to, int64_t to_stride) {
  if (rows == kBlock && columns == kBlock) {
    transpose_full_block(from, from_stride, to, to_stride);
    return;
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) to[c * to_stride + r] = from[r * from_stride + c];
}

// to [columns][to_stride] = from [rows][from_stride] transposed.
inline void transpose(const float* from, int64_t from_stride, int64_t rows, int64_t columns,
                      float* to, int64_t to_stride) {
  for (int64_t c = 0; c < columns; c += kBlock)
    for (int64_t r = 0; r < rows; r += kBlock)
      transpose_block(from + r * from_stride + c, from_stride, rows - r < kBlock ? rows - r : kBlock,
                      columns - c < kBlock ? columns - c : kBlock, to + c * to_stride + r, to_stride);
}

}  // namespace TROVID_ISA
