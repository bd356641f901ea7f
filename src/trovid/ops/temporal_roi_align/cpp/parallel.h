// Tasks on threads, and memory for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

// Runs function(context, task, thread) for all tasks, on at most `threads` threads; returns when
// all are done. Which thread takes a task is left open, so results must not depend on it.
void trovid_parallel(int64_t tasks, int64_t threads, void (*function)(void*, int64_t, int64_t),
                     void* context);

// Aligned memory, in large pages where it is large and the system has them; throws NoMemory.
void* trovid_allocate(size_t bytes);
// Asks for large pages for memory of others that is about to be written for the first time.
void trovid_expect_writes(void* memory, size_t bytes);
void trovid_free(void* memory);

struct NoMemory {};

namespace TROVID_ISA {

template <typename Function>
void parallel(int64_t tasks, int64_t threads, Function function) {
  trovid_parallel(
      tasks, threads,
      [](void* context, int64_t task, int64_t thread) {
        (*static_cast<Function*>(context))(task, thread);
      },
      &function);
}

// An array of uninitialised values that frees itself.
template <typename T>
class Array {
 public:
  Array() = default;
  explicit Array(int64_t count) { resize(count); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { trovid_free(data_); }

  void resize(int64_t count) {
    trovid_free(data_);
    data_ = nullptr;
    data_ = allocate(count);
  }
  // Keeps the first `used` values; where there is no memory, it stays as it was.
  void grow(int64_t used, int64_t count) {
    T* larger = allocate(count);
    std::memcpy(larger, data_, sizeof(T) * static_cast<size_t>(used));
    trovid_free(data_);
    data_ = larger;
  }
  void fill(int64_t count, T value) {
    for (int64_t i = 0; i < count; ++i) data_[i] = value;
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }

 private:
  static T* allocate(int64_t count) {
    if (count < 1) count = 1;
    if (static_cast<uint64_t>(count) > SIZE_MAX / sizeof(T)) throw NoMemory();
    return static_cast<T*>(trovid_allocate(sizeof(T) * static_cast<size_t>(count)));
  }

  T* data_ = nullptr;
};

// One T for each thread.
template <typename T>
class PerThread {
 public:
  template <typename... Arguments>
  PerThread(int64_t threads, const Arguments&... arguments) : items_(threads) {
    try {
      for (; made_ < threads; ++made_) items_[made_] = new T(arguments...);
    } catch (...) {
      clear();
      throw;
    }
  }
  PerThread(const PerThread&) = delete;
  PerThread& operator=(const PerThread&) = delete;
  ~PerThread() { clear(); }
  T& operator[](int64_t thread) { return *items_[thread]; }
  const T& operator[](int64_t thread) const { return *items_[thread]; }

 private:
  void clear() {
    for (int64_t i = 0; i < made_; ++i) delete items_[i];
  }

  Array<T*> items_;
  int64_t made_ = 0;
};

}  // namespace TROVID_ISA
