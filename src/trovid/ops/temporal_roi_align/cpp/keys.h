// A cosine and its cell in one number, and the K greatest of many.
#pragma once

#include <cstdint>
#include <cstring>

namespace TROVID_ISA {

// A cosine and its cell as one number: the greater cosine is the greater key, of equal cosines that
// with the lower index. No key is 0.
inline uint64_t key_of(float cosine, int64_t cell) {
  const float value = cosine + 0.0f;  // -0 equals 0
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits ^= bits >> 31 ? ~uint32_t{0} : uint32_t{1} << 31;
  return uint64_t{bits} << 32 | ~static_cast<uint32_t>(cell);
}

inline int32_t cell_of(uint64_t key) { return static_cast<int32_t>(~static_cast<uint32_t>(key)); }

inline float cosine_of(uint64_t key) {
  uint32_t bits = static_cast<uint32_t>(key >> 32);
  bits ^= bits >> 31 ? uint32_t{1} << 31 : ~uint32_t{0};
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Keeps the K greatest of the numbers that are inserted, in descending order, without a branch.
template <typename Number>
inline void insert(Number* best, int64_t top_k, Number number) {
  for (int64_t k = 0; k < top_k; ++k) {
    const Number held = best[k];
    best[k] = held > number ? held : number;
    number = held > number ? number : held;
  }
}

}  // namespace TROVID_ISA
