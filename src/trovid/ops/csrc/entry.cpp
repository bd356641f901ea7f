// The C interface: picks the instruction set, runs threads, turns exceptions into codes.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

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
};

const std::vector<Isa>& isas() {
  static const std::vector<Isa> all = {
#if defined(TROVID_HAS_avx512_bf16)
      {"avx512_bf16", &trovid_avx512_bf16_kernels,
       __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512bf16")},
#endif
#if defined(__x86_64__)
      {"avx512", &trovid_avx512_kernels,
       __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512cd")},
      {"avx2", &trovid_avx2_kernels,
       __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
#endif
      {"portable", &trovid_portable_kernels, true},
  };
  return all;
}

std::atomic<const Isa*>& current() {
  static std::atomic<const Isa*> chosen{
      &*std::find_if(isas().begin(), isas().end(), [](const Isa& isa) { return isa.available; })};
  return chosen;
}

template <typename Function>
int guarded(Function function) {
  try {
    function(*current().load()->kernels);
    return TROVID_OK;
  } catch (const OutOfRange&) {
    return TROVID_OUT_OF_RANGE;
  } catch (...) {
    return TROVID_NO_MEMORY;
  }
}

}  // namespace

void trovid_parallel(int64_t tasks, int64_t threads, void (*function)(void*, int64_t, int64_t),
                     void* context) {
  std::atomic<int64_t> next{0};
  std::exception_ptr failure;
  std::mutex failing;
  const auto work = [&](int64_t thread) {
    try {
      for (int64_t task; (task = next.fetch_add(1)) < tasks;) function(context, task, thread);
    } catch (...) {
      next = tasks;
      const std::lock_guard<std::mutex> lock(failing);
      failure = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  try {
    for (int64_t i = 1; i < std::min(threads, tasks); ++i) others.emplace_back(work, i);
  } catch (const std::system_error&) {
    // The system gives no more threads: those there are do all the work.
  }
  work(0);
  for (std::thread& other : others) other.join();
  if (failure) std::rethrow_exception(failure);
}

void* trovid_allocate(size_t bytes) {
  const bool large = bytes >= 2 * kLargePage;
  const size_t alignment = large ? kLargePage : kAlignment;
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
                   int32_t* indices) {
  return guarded(
      [&](const Kernels& kernels) { kernels.forward(*problem, output, sets, scores, indices); });
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

int trovid_transpose(const float* from, int64_t count, int64_t rows, int64_t columns,
                     int64_t threads, float* to) {
  return guarded(
      [&](const Kernels& kernels) { kernels.transpose(from, count, rows, columns, threads, to); });
}

const char* trovid_isa(void) { return current().load()->name; }

int trovid_use_isa(const char* name) {
  for (const Isa& isa : isas())
    if (isa.available && std::strcmp(isa.name, name) == 0) {
      current() = &isa;
      return TROVID_OK;
    }
  return TROVID_OUT_OF_RANGE;
}
