// What each instruction set's build of the kernels offers.
#pragma once

#include "trovid.h"

struct Kernels {
  void (*forward)(const trovid_problem&, float*, float*, float*, int32_t*, trovid_report*);
  void (*backward)(const trovid_problem&, const float*, const float*, const int32_t*, const float*,
                   float*, float*, float*, float*);
  void (*select)(const float*, int64_t, const float*, const float*, int64_t, int64_t, int64_t,
                 int64_t, int64_t, float*, int32_t*);
  void (*transpose)(const float*, int64_t, int64_t, int64_t, int64_t, float*);
  void (*prefixes)(const float*, const float*, int64_t, int64_t, bool, int64_t, float*, float*);
  void (*norms)(const float*, int64_t, int64_t, int64_t, bool, int64_t, float*);
};

extern const Kernels trovid_portable_kernels;
#if defined(__x86_64__)
extern const Kernels trovid_avx2_kernels, trovid_avx2_vnni_kernels, trovid_avx512_kernels,
    trovid_avx512_vnni_kernels, trovid_avx512_bf16_kernels;
#endif

// What trovid_use_prefixes chose.
int64_t trovid_wanted_prefixes();

// Thrown by kernels.
struct OutOfRange {};
