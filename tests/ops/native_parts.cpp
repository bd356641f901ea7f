// The pool and the arrays of the native library on their own; run by test_native_pool.py.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

#include "kernels.h"
#define TROVID_ISA parts
#include "parallel.h"

namespace {

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::_Exit(1);
}

// Memory that is counted, and that runs out after some more allocations.
std::atomic<int> held{0}, left{1 << 30};

void sums(int64_t tasks, int64_t threads) {
  std::vector<int64_t> done(tasks, 0);
  std::vector<std::atomic<int>> inside(threads);
  std::atomic<bool> shared{false};
  parts::parallel(tasks, threads, [&](int64_t task, int64_t thread) {
    if (inside[thread]++) shared = true;
    done[task] += task + 1;
    --inside[thread];
  });
  expect(!shared, "a thread's number belongs to one thread at a time");
  for (int64_t task = 0; task < tasks; ++task) expect(done[task] == task + 1, "each task once");
}

void many_regions() {
  for (int64_t threads : {1, 2, 3, 8})
    for (int64_t tasks : {0, 1, 2, 7, 300}) sums(tasks, threads);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller)
    callers.emplace_back([] {
      for (int i = 0; i < 200; ++i) sums(1 + i % 17, 1 + i % 4);
    });
  for (std::thread& caller : callers) caller.join();
}

void regions_within_regions() {
  std::atomic<int> tasks{0};
  parts::parallel(6, 4, [&](int64_t, int64_t) {
    parts::parallel(5, 3, [&](int64_t, int64_t) { ++tasks; });
  });
  expect(tasks == 30, "regions within regions");
}

void failures() {
  for (int i = 0; i < 50; ++i) {
    std::atomic<bool> caught{false};
    try {
      parts::parallel(40, 4, [&](int64_t task, int64_t) {
        if (task % 10 == 3) throw std::runtime_error("a task failed");
      });
    } catch (const std::runtime_error& error) {
      caught = true;
    }
    expect(caught, "a failure reaches the caller");
    sums(9, 4);
  }
}

// What a process forked from here does on its own.
template <typename Function>
void in_a_fork(Function function) {
#if !defined(__SANITIZE_THREAD__)
  const pid_t child = fork();
  if (child == 0) {
    function();
    std::_Exit(0);
  }
  int status = 1;
  waitpid(child, &status, 0);
  expect(status == 0, "a forked process computes");
#else
  (void)function;
#endif
}

[[maybe_unused]] void without_more_threads() {
  const rlimit none{1 << 20, 1 << 20};
  setrlimit(RLIMIT_AS, &none);
  int64_t tasks = 0;
  parts::parallel(100, 4, [&](int64_t, int64_t thread) { tasks += thread == 0; });
  expect(tasks == 100, "who calls does all the work");
}

struct Held {
  parts::Array<int> first{10}, second{20};
};

void memory_runs_out() {
  for (int allowed = 0; allowed < 12; ++allowed) {
    bool failed = false;
    left = allowed;
    try {
      parts::Array<int> values(4);
      for (int i = 0; i < 4; ++i) values[i] = i;
      try {
        values.grow(4, 100);
      } catch (const NoMemory&) {
        for (int i = 0; i < 4; ++i) expect(values[i] == i, "what cannot grow stays as it was");
        throw;
      }
      const parts::PerThread<Held> spaces(4);
    } catch (const NoMemory&) {
      failed = true;
    }
    left = 1 << 30;
    expect(failed == (allowed < 11), "the memory of every place can run out");
    expect(held == 0, "nothing is left behind");
  }
  try {
    parts::Array<int64_t> too_many(int64_t{1} << 62);
    expect(false, "sizes that overflow are refused");
  } catch (const NoMemory&) {
  }
}

}  // namespace

void* trovid_allocate(size_t bytes) {
  if (left-- <= 0) throw NoMemory();
  ++held;
  return std::malloc(bytes);
}

void trovid_expect_writes(void*, size_t) {}

void trovid_free(void* memory) {
  if (memory) --held;
  std::free(memory);
}

int main() {
  memory_runs_out();
#if !defined(__SANITIZE_ADDRESS__)
  in_a_fork(without_more_threads);
#endif
  many_regions();
  regions_within_regions();
  failures();
  in_a_fork([] { sums(100, 4); });
  sums(100, 4);
  std::puts("done");
}
