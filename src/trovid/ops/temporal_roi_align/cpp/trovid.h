// The plain C interface of trovid's native backend: Temporal RoI Align in float32.
//
// All arrays are contiguous. Shapes are given as [..]; M = num_rois * grid_height * grid_width
// positions. Every function returns TROVID_OK or says why it did nothing of use.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

// Counts up with every change of what is declared here. Who calls compares it, and the size of a
// trovid_problem, with what he knows.
#define TROVID_VERSION 7
int64_t trovid_version(void);
int64_t trovid_problem_size(void);

enum {
  TROVID_OK = 0,
  TROVID_NO_MEMORY = 1,
  // A value is infinite, not a number, or so large that products leave float32's range.
  TROVID_OUT_OF_RANGE = 2,
  // This processor or build does not have the instruction set.
  TROVID_NO_ISA = 3,
  // Anything else; trovid_error says what.
  TROVID_FAILED = 4,
};

// What the last TROVID_FAILED on this thread was about.
const char* trovid_error(void);

typedef struct {
  int64_t videos;       // B
  int64_t channels;     // C
  int64_t height;       // of the target maps
  int64_t width;
  int64_t cells;        // P, cells of a support map
  int64_t map_width;    // of a support map; read where the search goes from coarse to fine
  int64_t square;       // side of the squares that are compared first, a power of 2; 1: exact search
  int64_t squares;      // of these, and then of their quarters, how many a position keeps
  int64_t num_rois;     // R
  int64_t grid_height;  // h
  int64_t grid_width;   // w
  int64_t top_k;        // K
  int64_t num_heads;    // N; 0 is the plain average
  int64_t dense;        // whether the embedding is dense (else one a head)
  int64_t sampling_ratio;
  int64_t aligned;
  int64_t threads;
  int64_t directions;   // of the basis; 0 where there is none
  int64_t planes;       // whether the support maps are planes (trovid_forward alone takes them)
  float spatial_scale;
  float logit_scale;
  const float* features;       // [B, height * width, C]
  const float* rows;           // [S, P, C], cells of the support maps; or planes, [S, C, P]
  const float* weight;         // [C, C / N, 3, 3] or, dense, [C, C, 3, 3]
  const float* bias;           // [C] or null
  const float* inverse_norms;  // [S, P], of the rows; those of planes are not read
  const float* rois;           // [R, 5]: video, x1, y1, x2, y2
  const float* basis;          // [B, directions, C] or null: see trovid_prefixes
  const float* prefixes;       // [S, P, directions] or null
  const int64_t* lengths;      // [B], sum S
} trovid_problem;

// How the last video of a call was searched: by prefixes of so many directions (0: in all channels),
// and the share of pairs of position and cell that were compared in all channels (coarse to fine:
// the cells of the last squares).
typedef struct {
  int64_t directions;
  double share;
} trovid_report;

// output [R, C, h, w]; sets [M, C], scores and indices [longest, M, K] are what the gradient needs
// (scores and indices of frames that a video does not have are left alone); sets and report may be
// null.
int trovid_forward(const trovid_problem* problem, float* output, float* sets, float* scores,
                   int32_t* indices, trovid_report* report);

// grad_output [R, C, h, w]; grad_features [B, height * width, C]; grad_support
// [S, P, C]; grad_weight and grad_bias as weight and bias.
int trovid_backward(const trovid_problem* problem, const float* sets, const float* scores,
                    const int32_t* indices, const float* grad_output, float* grad_features,
                    float* grad_support, float* grad_weight, float* grad_bias);

// The K most similar cells of each of M positions [M, C] in each of the frames:
// scores and indices [frames, M, K].
int trovid_select(const float* positions, int64_t count, const float* support,
                  const float* inverse_norms, int64_t frames, int64_t cells, int64_t channels,
                  int64_t top_k, int64_t threads, float* scores, int32_t* indices);

// A basis [D, C] for the cells rows [count, C], or where it is `given` that one, and the cells divided
// by their norms as seen in it: prefixes [count, D], with D = C / 4 rounded up to a multiple of 8.
// They save time in trovid_forward; its result does not depend on them.
int trovid_prefixes(const float* rows, const float* inverse_norms, int64_t count, int64_t channels,
                    int64_t given, int64_t threads, float* basis, float* prefixes);

// Which prefixes trovid_forward and trovid_select search in: those of so many directions (at most D),
// 0 for none, or -1 for what costs least, as it is in the beginning.
void trovid_use_prefixes(int64_t directions);

// 1 / length of the cells of maps [frames, P, C] or planes [frames, C, P], 0 for a cell without
// direction: [frames, P].
int trovid_inverse_norms(const float* maps, int64_t frames, int64_t channels, int64_t cells,
                         int64_t planes, int64_t threads, float* inverse_norms);

// matrices [count, rows, columns] to [count, columns, rows].
int trovid_transpose(const float* from, int64_t count, int64_t rows, int64_t columns,
                     int64_t threads, float* to);

// The instruction set in use: "avx512_bf16", "avx512_vnni", "avx512", "avx2_vnni",
// "avx2" or "portable".
const char* trovid_isa(void);

// Chooses another one; returns TROVID_NO_ISA where it cannot be had.
int trovid_use_isa(const char* name);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
