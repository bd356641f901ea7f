// All kernels, compiled once for each instruction set with TROVID_ISA as its name. Code that is
// shared with other builds (anything inline of the standard library) must not be used here, since
// the linker keeps one copy of it, perhaps that of the newest instruction set.
#include "kernels.h"

#include "backward.h"
#include "forward.h"
#include "norms.h"

#define JOIN(a, b, c) a##b##c
#define NAME(isa) JOIN(trovid_, isa, _kernels)

namespace TROVID_ISA {

static void select_positions(const float* positions, int64_t count, const float* support,
                             const float* inverse_norms, int64_t frames, int64_t cells,
                             int64_t channels, int64_t top_k, int64_t threads, float* scores,
                             int32_t* indices) {
  check_cells(support, inverse_norms, frames * cells, channels, channels, 1);
  Rows rows;
  rows.count = count;
  rows.pointers.resize(count);
  rows.combination.begin.resize(count + 1);
  rows.combination.row.resize(count);
  rows.combination.weight.resize(count);
  Array<float> inverse_lengths(count), bounds(count), zeros(channels);
  Array<int64_t> place(count);
  zeros.fill(channels, 0);
  for (int64_t m = 0; m <= count; ++m) rows.combination.begin[m] = m;
  for (int64_t m = 0; m < count; ++m) {
    const float norm = checked_norm(positions + m * channels, channels);
    const bool has_direction = norm > kSmallestNorm;
    inverse_lengths[m] = has_direction ? 1 / norm : 0;
    bounds[m] = norm;
    rows.pointers[m] = has_direction ? positions + m * channels : zeros.data();
    rows.combination.row[m] = static_cast<int32_t>(m);
    rows.combination.weight[m] = 1;
    place[m] = m;
  }
  const Search all{rows.pointers.data(),
                   count,
                   &rows.combination,
                   count,
                   rows.pointers.data(),
                   inverse_lengths.data(),
                   bounds.data(),
                   support,
                   inverse_norms,
                   frames,
                   cells,
                   channels,
                   top_k};
  search(all, Kept(), threads, Found{place.data(), count, scores, indices});
}

static void prefixes(const float* rows, const float* inverse_norms, int64_t count,
                     int64_t channels, bool given, int64_t threads, float* basis, float* to) {
  const int64_t width = widest_prefix(channels);
  if (!given) make_basis(rows, false, inverse_norms, 1, count, channels, width, threads, basis);
  const Projector projector(basis, width, channels);
  project_cells(projector, rows, inverse_norms, count, width, to, width, threads);
}

static void norms(const float* maps, int64_t frames, int64_t channels, int64_t cells, bool planes,
                  int64_t threads, float* inverse) {
  inverse_norms_of(maps, frames, channels, cells, planes, threads, inverse);
}

}  // namespace TROVID_ISA

extern const Kernels NAME(TROVID_ISA) = {TROVID_ISA::forward, TROVID_ISA::backward,
                                         TROVID_ISA::select_positions, TROVID_ISA::transpose_all,
                                         TROVID_ISA::prefixes, TROVID_ISA::norms};
