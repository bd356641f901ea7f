// Temporal attention (Eq. 5 to 8) over most similar features that exist for one RoI at a time.
#pragma once

#include <cmath>

#include "cell_embedding.h"

namespace TROVID_ISA {

// The support frames of a video and the cells that its positions chose in them.
struct Chosen {
  const float* support;    // [frames, cells, channels]; gathered cells as they come, `cells` is 0
  const int32_t* indices;  // [frames, stride, top_k]
  const float* weights;    // [frames, stride, top_k], softmax over the K
  int64_t frames, cells, channels, stride, top_k;
  int64_t first_channel = 0;  // of `channels`

  // The most similar features of `area` positions from `position` on, in frames [first, first +
  // count): [area, count, to_stride], `width` channels from `channel` on.
  void gather_roi(int64_t position, int64_t area, int64_t first, int64_t count, int64_t channel,
                  int64_t width, float* to, int64_t to_stride) const {
    for (int64_t t = 0; t < count; ++t)
      for (int64_t m = 0; m < area; ++m) {
        const int64_t at = ((first + t) * stride + position + m) * top_k;
        gather(support + (first + t) * cells * channels + channel - first_channel, channels,
               indices + at, weights + at, top_k, width, to + (m * count + t) * to_stride);
      }
  }
};

constexpr int kFrames = 8;

// logits[m * stride + t] = sum over offsets of V(m, o) . X'_t(m + o), for Frames <= kFrames of the
// `frames` that `similar` holds.
template <int Frames>
inline void logits_of_frames(const Layout& l, const Neighbours& near, const float* v,
                             const float* similar, int64_t frames, float* logits, int64_t stride) {
  for (int64_t m = 0; m < near.area; ++m) {
    Vec sums[Frames];
#pragma GCC unroll 8
    for (int t = 0; t < Frames; ++t) sums[t] = Vec{};
    for (int64_t o = 0; o < kOffsets; ++o) {
      const int32_t n = near.of[m * kOffsets + o];
      if (n < 0) continue;
      const float* a = v + (m * kOffsets + o) * l.v_stride;
      const float* b = similar + n * frames * l.input_stride;
      for (int64_t i = 0; i < l.inputs; i += kWidth) {
        const Vec value = load(a + i);
#pragma GCC unroll 8
        for (int t = 0; t < Frames; ++t) sums[t] += value * load(b + t * l.input_stride + i);
      }
    }
#pragma GCC unroll 8
    for (int t = 0; t < Frames; ++t) logits[m * stride + t] = sum(sums[t]);
  }
}

// similar [area, frames, input_stride].
inline void support_logits(const Layout& l, const Neighbours& near, const float* v,
                           const float* similar, int64_t frames, float* logits, int64_t stride) {
  int64_t t = 0;
  const auto at = [&](auto run) {
    run(l, near, v, similar + t * l.input_stride, frames, logits + t, stride);
  };
  while (t < frames) {
    // As few passes over V as can be, of about as many frames each.
    const int64_t left = frames - t, passes = (left + kFrames - 1) / kFrames;
    const int64_t some = (left + passes - 1) / passes;
    switch (some) {
      case 1: at(logits_of_frames<1>); break;
      case 2: at(logits_of_frames<2>); break;
      case 3: at(logits_of_frames<3>); break;
      case 4: at(logits_of_frames<4>); break;
      case 5: at(logits_of_frames<5>); break;
      case 6: at(logits_of_frames<6>); break;
      case 7: at(logits_of_frames<7>); break;
      default: at(logits_of_frames<kFrames>); break;
    }
    t += some;
  }
}

// The softmax over frames that come in parts, relative to the highest logit so far.
struct RunningSoftmax {
  Array<float> highest, mass, sum;  // [area], [area], [area, width]
  int64_t area, width;

  RunningSoftmax(int64_t a, int64_t w) : highest(a), mass(a), sum(a * w), area(a), width(w) {}

  // The target's own set: its logit; returns where its features are to go.
  float* start(int64_t m, float logit) {
    highest[m] = logit;
    mass[m] = 1;
    return sum.data() + m * width;
  }

  // logits [area, frames]; features [area, frames, stride].
  void add(const float* logits, const float* features, int64_t frames, int64_t stride) {
    for (int64_t m = 0; m < area; ++m) {
      float top = highest[m];
      const float* logit = logits + m * frames;
      for (int64_t t = 0; t < frames; ++t) top = logit[t] > top ? logit[t] : top;
      float* total = sum.data() + m * width;
      if (top > highest[m]) {
        const float fade = std::exp(highest[m] - top);
        mass[m] *= fade;
        for (int64_t c = 0; c < width; ++c) total[c] *= fade;
        highest[m] = top;
      }
      for (int64_t t = 0; t < frames; ++t) {
        const float weight = std::exp(logit[t] - top);
        mass[m] += weight;
        add_scaled(total, weight, features + (m * frames + t) * stride, width);
      }
    }
  }

  void finish() {
    for (int64_t m = 0; m < area; ++m) {
      const float factor = 1 / mass[m];
      for (int64_t c = 0; c < width; ++c) sum[m * width + c] *= factor;
    }
  }
};

// RoIs that share one pass over the weights.
constexpr int64_t kRois = 2;
// Bytes of most similar features that one thread holds.
constexpr int64_t kSimilarBytes = 4 << 20;

// Working memory of one thread.
struct AttentionSpace {
  RowPointers rows;
  Array<float> psi, v, similar, logits;
  RunningSoftmax running;
  int64_t frames_held;

  AttentionSpace(const Layout& l, int64_t area, int64_t frames)
      : rows(kRois * area), psi(kRois * area * l.psi_stride),
        v(kRois * area * kOffsets * l.v_stride), running(area, l.width),
        frames_held(kSimilarBytes / static_cast<int64_t>(sizeof(float)) / (area * l.input_stride)) {
    if (frames_held > frames) frames_held = frames;
    if (frames_held < 1) frames_held = 1;
    const int64_t size = frames_held * area * l.input_stride;
    similar.resize(size * (l.heads_of_group > 1 ? kRois : 1));
    similar.fill(size * (l.heads_of_group > 1 ? kRois : 1), 0);
    logits.resize(frames_held * area);
  }
};

// One group of channels of `count` <= kRois RoIs: output [channels, area] for each of them.
// They are `part_rois[first..first + count)`, whose psi and features come through `cells` where there
// are any, and else from the sets.
inline void attend(const Embedding& e, const CellEmbedding* cells, const Neighbours& near,
                   const Chosen& chosen, float scale, int64_t group, const int64_t* part_rois,
                   int64_t first_roi, int64_t count, const float* sets, float* output,
                   AttentionSpace& space) {
  const int64_t* rois = part_rois + first_roi;
  const Layout& l = e.layout;
  const int64_t area = near.area, held = space.frames_held;
  const int64_t one_roi = held * area * l.input_stride;
  const bool all_held = held >= chosen.frames && l.heads_of_group > 1;
  for (int64_t head = group * l.heads_of_group; head < (group + 1) * l.heads_of_group; ++head) {
    const int64_t input = l.first_input(head), own = head * l.width;
    const float* inputs[kRois];
    for (int64_t r = 0; r < count; ++r) inputs[r] = sets + rois[r] * area * l.channels + input;
    if (!cells) embed(e, near, head, inputs, l.channels, count, space.rows, space.psi.data());
    for (int64_t r = 0; cells && r < count; ++r)
      cells->embed(near, head, (first_roi + r) * area, space.psi.data() + r * area * l.psi_stride);
    absorb(e, near, head, space.psi.data(), count, space.rows, space.v.data());
    for (int64_t r = 0; r < count; ++r) {
      const float* psi = space.psi.data() + r * area * l.psi_stride;
      const float* v = space.v.data() + r * area * kOffsets * l.v_stride;
      const float* set = sets + rois[r] * area * l.channels;
      float* similar = space.similar.data() + (l.heads_of_group > 1 ? r * one_roi : 0);
      for (int64_t m = 0; m < area; ++m) {
        const float* value = psi + m * l.psi_stride;
        float* features = space.running.start(m, scale * dot(value, value, l.width));
        if (cells)
          cells->pool((first_roi + r) * area + m, own, l.width, features);
        else
          std::memcpy(features, set + m * l.channels + own, sizeof(float) * l.width);
      }
      for (int64_t first = 0; first < chosen.frames; first += held) {
        const int64_t frames = chosen.frames - first < held ? chosen.frames - first : held;
        if (!all_held || head == 0)
          chosen.gather_roi(rois[r] * area, area, first, frames, input, l.inputs, similar,
                            l.input_stride);
        support_logits(l, near, v, similar, frames, space.logits.data(), frames);
        for (int64_t m = 0; m < area; ++m) {
          const float constant =
              e.bias ? dot(e.bias + own, psi + m * l.psi_stride, l.width) : 0.0f;
          for (int64_t t = 0; t < frames; ++t) {
            float& logit = space.logits[m * frames + t];
            logit = scale * (logit + constant);
          }
        }
        space.running.add(space.logits.data(), similar + l.within_inputs(head), frames,
                          l.input_stride);
      }
      space.running.finish();
      transpose(space.running.sum.data(), l.width, area, l.width,
                output + (rois[r] * l.channels + own) * area, area);
    }
  }
}

// The plain mean over the T + 1 sets of one RoI, `width` channels from `channel` on: sets
// [area, channels], output [channels, area].
inline void average(const Chosen& chosen, int64_t area, int64_t roi, int64_t channels,
                    int64_t channel, int64_t width, const float* sets, float* output,
                    float* similar, float* total) {
  const int64_t size = area * width;
  for (int64_t m = 0; m < area; ++m)
    std::memcpy(total + m * width, sets + m * channels + channel, sizeof(float) * width);
  for (int64_t t = 0; t < chosen.frames; ++t) {
    chosen.gather_roi(roi * area, area, t, 1, channel, width, similar, width);
    add_scaled(total, 1, similar, size);
  }
  const float factor = 1 / static_cast<float>(chosen.frames + 1);
  for (int64_t i = 0; i < size; ++i) total[i] *= factor;
  transpose(total, width, area, width, output + channel * area, area);
}

}  // namespace TROVID_ISA
