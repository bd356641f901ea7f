// The C interface: picks the instruction set, gives memory, turns exceptions into codes.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iterator>
#include <new>

#include "kernels.h"
#define TROVID_ISA entry
#include "parallel.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kLargePage = 2 << 20;

struct Isa {
  const char* name;
  const Kernels* kernels;
  bool available;
  bool fast = true;  // taken unasked
};

#if defined(__x86_64__)
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512cd");
}

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

// Nothing of it needs to be destroyed while another thread may still look at it.
const Isa kIsas[] = {
#if defined(TROVID_HAS_avx512_bf16)
    // Intel's processors multiply bfloat16's of vectors at half the speed of floats.
    {"avx512_bf16", &trovid_avx512_bf16_kernels,
     has_avx512() && __builtin_cpu_supports("avx512bf16"), !__builtin_cpu_is("intel")},
#endif
#if defined(TROVID_HAS_avx512_vnni)
    {"avx512_vnni", &trovid_avx512_vnni_kernels,
     has_avx512() && __builtin_cpu_supports("avx512vnni")},
#endif
#if defined(__x86_64__)
    {"avx512", &trovid_avx512_kernels, has_avx512()},
#endif
#if defined(TROVID_HAS_avx2_vnni)
    {"avx2_vnni", &trovid_avx2_vnni_kernels, has_avx2() && __builtin_cpu_supports("avxvnni")},
#endif
#if defined(__x86_64__)
    {"avx2", &trovid_avx2_kernels, has_avx2()},
#endif
    {"portable", &trovid_portable_kernels, true},
};

std::atomic<const Isa*> current{std::find_if(std::begin(kIsas), std::end(kIsas), [](const Isa& isa) {
  return isa.available && isa.fast;
})};

std::atomic<int64_t> wanted_prefixes{-1};

thread_local char last_error[256] = "";

template <typename Function>
int guarded(Function function) {
  try {
    function(*current.load()->kernels);
    return TROVID_OK;
  } catch (const OutOfRange&) {
    return TROVID_OUT_OF_RANGE;
  } catch (const NoMemory&) {
    return TROVID_NO_MEMORY;
  } catch (const std::bad_alloc&) {
    return TROVID_NO_MEMORY;
  } catch (const std::exception& error) {
    std::snprintf(last_error, sizeof(last_error), "%s", error.what());
  } catch (...) {
    std::snprintf(last_error, sizeof(last_error), "unknown exception");
  }
  return TROVID_FAILED;
}

}  // namespace

void* trovid_allocate(size_t bytes) {
  const bool large = bytes >= 2 * kLargePage;
  const size_t alignment = large ? kLargePage : kAlignment;
  if (bytes > SIZE_MAX - alignment) throw NoMemory();
  const size_t size = (bytes + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, size);
  if (!memory) throw NoMemory();
  trovid_expect_writes(memory, size);
  return memory;
}

void trovid_expect_writes(void* memory, size_t bytes) {
#if defined(__linux__)
  const uintptr_t start = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t first = (start + kLargePage - 1) / kLargePage * kLargePage;
  const uintptr_t last = (start + bytes) / kLargePage * kLargePage;
  if (first < last) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#else
  (void)memory, (void)bytes;
#endif
}

void trovid_free(void* memory) { std::free(memory); }

int trovid_forward(const trovid_problem* problem, float* output, float* sets, float* scores,
                   int32_t* indices, trovid_report* report) {
  return guarded([&](const Kernels& kernels) {
    kernels.forward(*problem, output, sets, scores, indices, report);
  });
}

int trovid_backward(const trovid_problem* problem, const float* sets, const float* scores,
                    const int32_t* indices, const float* grad_output, float* grad_features,
                    float* grad_support, float* grad_weight, float* grad_bias) {
  return guarded([&](const Kernels& kernels) {
    kernels.backward(*problem, sets, scores, indices, grad_output, grad_features, grad_support,
                     grad_weight, grad_bias);
  });
}

int trovid_select(const float* positions, int64_t count, const float* support,
                  const float* inverse_norms, int64_t frames, int64_t cells, int64_t channels,
                  int64_t top_k, int64_t threads, float* scores, int32_t* indices) {
  return guarded([&](const Kernels& kernels) {
    kernels.select(positions, count, support, inverse_norms, frames, cells, channels, top_k,
                   threads, scores, indices);
  });
}

int trovid_prefixes(const float* rows, const float* inverse_norms, int64_t count, int64_t channels,
                    int64_t given, int64_t threads, float* basis, float* prefixes) {
  return guarded([&](const Kernels& kernels) {
    kernels.prefixes(rows, inverse_norms, count, channels, given != 0, threads, basis, prefixes);
  });
}

int trovid_inverse_norms(const float* maps, int64_t frames, int64_t channels, int64_t cells,
                         int64_t planes, int64_t threads, float* inverse_norms) {
  return guarded([&](const Kernels& kernels) {
    kernels.norms(maps, frames, channels, cells, planes != 0, threads, inverse_norms);
  });
}

int trovid_transpose(const float* from, int64_t count, int64_t rows, int64_t columns,
                     int64_t threads, float* to) {
  return guarded(
      [&](const Kernels& kernels) { kernels.transpose(from, count, rows, columns, threads, to); });
}

void trovid_use_prefixes(int64_t directions) { wanted_prefixes = directions; }

int64_t trovid_wanted_prefixes() { return wanted_prefixes; }

int64_t trovid_version(void) { return TROVID_VERSION; }

int64_t trovid_problem_size(void) { return sizeof(trovid_problem); }

const char* trovid_error(void) { return last_error; }

const char* trovid_isa(void) { return current.load()->name; }

int trovid_use_isa(const char* name) {
  for (const Isa& isa : kIsas)
    if (isa.available && std::strcmp(isa.name, name) == 0) {
      current = &isa;
      return TROVID_OK;
    }
  return TROVID_NO_ISA;
}
