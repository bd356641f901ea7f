// RoIAlign as a sparse linear map: which cells a RoI position reads, and with which weight.
#pragma once

#include <cmath>
#include <cstring>

#include "parallel.h"
#include "simd.h"
#include "trovid.h"

namespace TROVID_ISA {

constexpr float kMostSamples = 1e9f;

// Position m combines rows row[begin[m]], ..., row[begin[m + 1] - 1].
struct Combination {
  Array<int64_t> begin;
  Array<int32_t> row;
  Array<float> weight;
};

// The samples of one bin along one axis.
class AxisBin {
 public:
  int count = 0;
  Array<int32_t> cell;
  Array<float> weight;

  // A sample more than one cell outside the map counts as zero, one nearer takes the border's
  // value, as in torchvision.
  void set(float start, float bin, int64_t index, int64_t samples, int64_t cells) {
    count = 0;
    const float base = start + static_cast<float>(index) * bin;
    const float step = bin / static_cast<float>(samples);
    int64_t first = 0, last = samples;
    if (step > 0) {
      first = clamp((-1.0f - base) / step - 2.0f, samples);
      last = clamp((static_cast<float>(cells) - base) / step + 2.0f, samples);
    }
    reserve(2 * (last - first));
    for (int64_t i = first; i < last; ++i) {
      float place = base + (static_cast<float>(i) + 0.5f) * bin / static_cast<float>(samples);
      if (!(place >= -1.0f && place <= static_cast<float>(cells))) continue;
      if (place < 0) place = 0;
      int32_t low = static_cast<int32_t>(place);
      int32_t high = low + 1;
      if (high >= cells) {
        low = high = static_cast<int32_t>(cells) - 1;
        place = static_cast<float>(low);
      }
      const float fraction = place - static_cast<float>(low);
      add(low, (1 - fraction) / static_cast<float>(samples));
      if (fraction != 0) add(high, fraction / static_cast<float>(samples));
    }
  }

 private:
  int64_t capacity_ = 0;

  static int64_t clamp(float value, int64_t most) {
    if (!(value > 0)) return 0;
    return value < static_cast<float>(most) ? static_cast<int64_t>(value) : most;
  }

  void reserve(int64_t entries) {
    if (entries <= capacity_) return;
    cell.resize(entries);
    weight.resize(entries);
    capacity_ = entries;
  }

  void add(int32_t index, float value) {
    for (int i = count - 1; i >= 0 && i >= count - 2; --i)
      if (cell[i] == index) {
        weight[i] += value;
        return;
      }
    cell[count] = index;
    weight[count++] = value;
  }
};

struct AxisBins {
  explicit AxisBins(int64_t count) : bins(new AxisBin[count]) {}
  ~AxisBins() { delete[] bins; }
  AxisBin& operator[](int64_t i) const { return bins[i]; }
  AxisBin* bins;
};

// The cells of the target map that each position of some RoIs reads.
inline void sample(const trovid_problem& p, const int64_t* rois, int64_t count, Combination& out) {
  const int64_t area = p.grid_height * p.grid_width;
  const AxisBins rows(p.grid_height), columns(p.grid_width);
  int64_t capacity = count * area * 8, size = 0;
  out.begin.resize(count * area + 1);
  out.row.resize(capacity);
  out.weight.resize(capacity);
  for (int64_t r = 0; r < count; ++r) {
    const float* box = p.rois + rois[r] * 5 + 1;
    const float offset = p.aligned ? 0.5f : 0.0f;
    const float left = box[0] * p.spatial_scale - offset, top = box[1] * p.spatial_scale - offset;
    float width = box[2] * p.spatial_scale - offset - left;
    float height = box[3] * p.spatial_scale - offset - top;
    if (!p.aligned) {
      width = width > 1 ? width : 1;
      height = height > 1 ? height : 1;
    }
    const float bin_width = width / static_cast<float>(p.grid_width);
    const float bin_height = height / static_cast<float>(p.grid_height);
    const auto samples = [&](float bin) {
      if (p.sampling_ratio > 0) return p.sampling_ratio;
      return static_cast<int64_t>(bin < kMostSamples ? std::ceil(bin) : kMostSamples);
    };
    for (int64_t y = 0; y < p.grid_height; ++y)
      rows[y].set(top, bin_height, y, samples(bin_height), p.height);
    for (int64_t x = 0; x < p.grid_width; ++x)
      columns[x].set(left, bin_width, x, samples(bin_width), p.width);
    for (int64_t m = 0; m < area; ++m) {
      const AxisBin& row = rows[m / p.grid_width];
      const AxisBin& column = columns[m % p.grid_width];
      const int64_t needed = size + static_cast<int64_t>(row.count) * column.count;
      if (needed > capacity) {
        const int64_t larger = 2 * needed;
        out.row.grow(size, larger);
        out.weight.grow(size, larger);
        capacity = larger;
      }
      out.begin[r * area + m] = size;
      for (int i = 0; i < row.count; ++i)
        for (int j = 0; j < column.count; ++j) {
          const float weight = row.weight[i] * column.weight[j];
          if (weight == 0) continue;
          out.row[size] = static_cast<int32_t>(row.cell[i] * p.width + column.cell[j]);
          out.weight[size++] = weight;
        }
    }
  }
  out.begin[count * area] = size;
}

}  // namespace TROVID_ISA
