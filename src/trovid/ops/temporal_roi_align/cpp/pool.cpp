// The threads behind trovid_parallel: made when first needed, kept until the process ends.
//
// A region of parallel work lies on its caller's stack. The caller shows it to the pool, works on it
// itself, takes it away again, and waits for those who came to help. So a region is done however
// few threads there are, and calls from several threads at once share the pool.
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#define TROVID_ISA for_pool
#include "parallel.h"

namespace {

// How long a thread looks out for the next region, or for the last helper, before it sleeps.
constexpr std::chrono::microseconds kPatience{40};

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Whether the condition came true while looking out for it.
template <typename Condition>
bool seen_soon(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  do {
    for (int i = 0; i < 16; ++i) {
      if (condition()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

struct Region {
  void (*const function)(void*, int64_t, int64_t);
  void* const context;
  const int64_t tasks;
  const int64_t helpers;            // at most
  int64_t joined = 0;               // of them; guarded by the pool
  std::atomic<int64_t> next{0};     // task
  std::atomic<int64_t> helping{0};  // helpers still at work
  std::exception_ptr failure;       // the first one; guarded by `failing`
  std::mutex failing;
  Region* after = nullptr;          // in the pool's list

  Region(int64_t all, int64_t most, void (*run)(void*, int64_t, int64_t), void* with)
      : function(run), context(with), tasks(all), helpers(most) {}

  bool wants_help() const { return joined < helpers && next.load() < tasks; }

  void work(int64_t thread) {
    try {
      for (int64_t task; (task = next.fetch_add(1)) < tasks;) function(context, task, thread);
    } catch (...) {
      next = tasks;
      const std::lock_guard<std::mutex> lock(failing);
      if (!failure) failure = std::current_exception();
    }
  }
};

class Pool {
 public:
  void run(Region& region) {
    show(region);
    region.work(0);
    take_away(region);
    if (seen_soon([&] { return region.helping == 0; })) return;
    std::unique_lock<std::mutex> lock(mutex_);
    left_.wait(lock, [&] { return region.helping == 0; });
  }

 private:
  void show(Region& region) {
    const std::lock_guard<std::mutex> lock(mutex_);
    grow(region.helpers);
    region.after = first_;
    first_ = &region;
    ++shown_;
    for (int64_t i = 0; i < std::min(region.helpers, sleeping_); ++i) wake_.notify_one();
  }

  void take_away(Region& region) {
    const std::lock_guard<std::mutex> lock(mutex_);
    Region** link = &first_;
    while (*link != &region) link = &(*link)->after;
    *link = region.after;
  }

  // The system may give fewer threads: those there are do all the work.
  void grow(int64_t helpers) {
    sigset_t all, before;
    if (threads_ >= helpers) return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the threads of others
    try {
      for (; threads_ < helpers; ++threads_) std::thread(&Pool::serve, this).detach();
    } catch (const std::exception&) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void serve() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      Region* region = first_;
      while (region && !region->wants_help()) region = region->after;
      if (!region) {
        wait(lock);
        continue;
      }
      const int64_t thread = ++region->joined;
      ++region->helping;
      lock.unlock();
      region->work(thread);
      lock.lock();
      if (--region->helping == 0) left_.notify_all();  // the region may be gone now
    }
  }

  void wait(std::unique_lock<std::mutex>& lock) {
    const uint64_t known = shown_;
    lock.unlock();
    const bool soon = seen_soon([&] { return shown_ != known; });
    lock.lock();
    if (soon) return;
    ++sleeping_;
    wake_.wait(lock, [&] { return shown_ != known; });
    --sleeping_;
  }

  std::mutex mutex_;
  std::condition_variable wake_, left_;
  Region* first_ = nullptr;
  std::atomic<uint64_t> shown_{0};  // how many regions there were
  int64_t threads_ = 0, sleeping_ = 0;
};

// Never destroyed: its threads may outlive the destructors that run when the process ends.
std::atomic<Pool*> the_pool{nullptr};

// A forked process has none of the threads, and perhaps a locked mutex: it begins anew.
const int at_fork = pthread_atfork(nullptr, nullptr, [] { the_pool = nullptr; });

Pool& pool() {
  Pool* found = the_pool;
  if (found) return *found;
  Pool* made = new Pool;
  if (the_pool.compare_exchange_strong(found, made)) return *made;
  delete made;
  return *found;
}

}  // namespace

void trovid_parallel(int64_t tasks, int64_t threads, void (*function)(void*, int64_t, int64_t),
                     void* context) {
  const int64_t helpers = std::min(threads, tasks) - 1;
  if (helpers < 1) {
    for (int64_t task = 0; task < tasks; ++task) function(context, task, 0);
    return;
  }
  Region region(tasks, helpers, function, context);
  pool().run(region);
  if (region.failure) std::rethrow_exception(region.failure);
}
