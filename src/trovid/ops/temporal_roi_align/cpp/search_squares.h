// The search coarse to fine: large squares of cells first, then the quarters of the best of them, and
// so on down to the cells.
//
// A square is represented by the sum of its cells' directions. Not exact: a cell that is unlike the
// others of its square may be missed. All products are made in float32, or made exact (search.h).
#pragma once

#include "search.h"

namespace TROVID_ISA {

// A map of cells, or of squares of them.
struct Grid {
  int64_t width, height;

  int64_t count() const { return width * height; }
  Grid half() const { return {(width + 1) / 2, (height + 1) / 2}; }

  // The cells that one cell of half() covers, row by row; returns how many there are.
  int quarters(int64_t square, int64_t* cells) const {
    const int64_t across = (width + 1) / 2, left = square % across * 2, top = square / across * 2;
    int count = 0;
    for (int64_t y = top; y < top + 2 && y < height; ++y)
      for (int64_t x = left; x < left + 2 && x < width; ++x) cells[count++] = y * width + x;
    return count;
  }
};

// What represents the squares of all frames at one level, and 1 / its length (0 for what has no
// direction).
struct Level {
  Grid grid;
  Array<float> sums, inverse_norms;  // [frames, squares, channels], [frames, squares]

  void allocate(const Search& s, Grid own) {
    grid = own;
    sums.resize(s.frames * own.count() * s.channels);
    inverse_norms.resize(s.frames * own.count());
  }

  // From the maps of half the size of a square: `weights` of their cells, or null for 1.
  void sum_up(const Search& s, Grid finer, const float* maps, const float* weights, float smallest,
              int64_t threads) {
    parallel(s.frames * grid.height, threads, [&](int64_t task, int64_t) {
      for (int64_t x = 0; x < grid.width; ++x) {
        const int64_t i = task * grid.width + x, frame = task / grid.height;
        float* sum = sums.data() + i * s.channels;
        std::memset(sum, 0, sizeof(float) * s.channels);
        int64_t cells[4];
        const int count = finer.quarters(i - frame * grid.count(), cells);
        for (int j = 0; j < count; ++j) {
          const int64_t row = frame * finer.count() + cells[j];
          add_scaled(sum, weights ? weights[row] : 1, maps + row * s.channels, s.channels);
        }
        const float norm = std::sqrt(dot(sum, sum, s.channels));
        inverse_norms[i] = norm > smallest ? 1 / norm : 0;
      }
    });
  }
};

constexpr int kVectorsAtOnce = 3;
// Positions of one task: neighbours, which keep the same squares.
constexpr int64_t kRefined = 1024;
// Positions whose best are found at once, one in each lane.
constexpr int64_t kLanes = kWidth / 2;

typedef uint64_t Keys __attribute__((vector_size(8 * kLanes), aligned(8), may_alias));

// Products of some vectors with the quarters of a square.
template <int Vectors, int Cells>
inline void products_of(const float* const* vectors, const float* const* cells, int64_t channels,
                        float (*to)[4]) {
  Vec sums[Vectors][Cells] = {};
  int64_t c = 0;
  for (; c + kWidth <= channels; c += kWidth) {
    Vec held[Cells];
#pragma GCC unroll 4
    for (int j = 0; j < Cells; ++j) held[j] = load(cells[j] + c);
#pragma GCC unroll 3
    for (int i = 0; i < Vectors; ++i) {
      const Vec value = load(vectors[i] + c);
#pragma GCC unroll 4
      for (int j = 0; j < Cells; ++j) sums[i][j] += value * held[j];
    }
  }
#pragma GCC unroll 3
  for (int i = 0; i < Vectors; ++i) {
    if constexpr (Cells == 4)
      sum_into(to[i], sums[i][0], sums[i][1], sums[i][2], sums[i][3]);
    else
#pragma GCC unroll 2
      for (int j = 0; j < Cells; ++j) to[i][j] = sum(sums[i][j]);
    for (int j = 0; c < channels && j < Cells; ++j)
      for (int64_t k = c; k < channels; ++k) to[i][j] += vectors[i][k] * cells[j][k];
  }
}

template <int Cells>
inline void products_of_some(const float* const* vectors, int count, const float* const* cells,
                             int64_t channels, float (*to)[4]) {
  if (count == 3)
    products_of<3, Cells>(vectors, cells, channels, to);
  else if (count == 2)
    products_of<2, Cells>(vectors, cells, channels, to);
  else
    products_of<1, Cells>(vectors, cells, channels, to);
}

// What one thread needs for the positions of a task: those that keep the same square as lists, so that
// the square's quarters are read once, and the keys of all quarters.
struct SquareLists {
  int64_t slots;               // of a position: four for each square
  Array<int32_t> first, next;  // [squares], [positions * kept]; -1 ends a list
  Array<int32_t> touched;      // squares that have a list
  Array<uint64_t> keys;        // [positions / kLanes, slots, kLanes]
  Array<uint64_t> lanes;       // [most that is kept, kLanes]
  Array<uint64_t> best;        // [most that is kept]

  SquareLists(int64_t squares, int64_t positions, int64_t kept, int64_t most)
      : slots(4 * kept), first(squares), next(positions * kept), touched(positions * kept),
        keys(positions * slots), lanes(most * kLanes), best(most) {
    first.fill(squares, -1);
  }

  uint64_t& key(int64_t position, int64_t slot) {
    return keys[(position / kLanes * slots + slot) * kLanes + position % kLanes];
  }

  // The greatest keys of kLanes positions from `position` on, into `lanes`, in descending order.
  void choose(int64_t position, int64_t top_k) {
    Keys* own = reinterpret_cast<Keys*>(lanes.data());
    std::memset(own, 0, sizeof(Keys) * top_k);
    const Keys* from = reinterpret_cast<const Keys*>(keys.data() + position * slots);
    for (int64_t slot = 0; slot < slots; ++slot) {
      Keys key = from[slot];
      for (int64_t k = 0; k < top_k; ++k) {
        const Keys held = own[k];
        own[k] = held > key ? held : key;
        key = held > key ? key : held;
      }
    }
  }
};

// From `kept` squares for each position in each frame, chosen [frames, positions, kept], to the best
// of their quarters: those of s, whose cells lie on a grid.
inline void refine(const Search& s, Grid grid, const int32_t* chosen, int64_t kept, int64_t threads,
                   const Found& found) {
  const int64_t tasks = (s.positions + kRefined - 1) / kRefined;
  PerThread<SquareLists> spaces(threads, grid.half().count(), kRefined, kept, s.top_k);
  parallel(s.frames * tasks, threads, [&](int64_t task, int64_t thread) {
    SquareLists& lists = spaces[thread];
    const int64_t frame = task / tasks, begin = task % tasks * kRefined;
    const int64_t end = begin + kRefined < s.positions ? begin + kRefined : s.positions;
    int64_t touched = 0;
    for (int64_t m = begin; m < end; ++m) {
      if (s.inverse_lengths[m] == 0) {
        for (int64_t slot = 0; slot < lists.slots; ++slot) lists.key(m - begin, slot) = 0;
        continue;
      }
      for (int64_t k = 0; k < kept; ++k) {
        const int32_t square = chosen[(frame * s.positions + m) * kept + k];
        const int64_t item = (m - begin) * kept + k;
        if (lists.first[square] < 0) lists.touched[touched++] = square;
        lists.next[item] = lists.first[square];
        lists.first[square] = static_cast<int32_t>(item);
      }
    }
    for (int64_t i = 0; i < touched; ++i) {
      const int64_t square = lists.touched[i];
      int64_t cells[4];
      const int quarters = grid.quarters(square, cells);
      const float* rows[4];
      float norms[4];
      for (int j = 0; j < quarters; ++j) {
        rows[j] = s.support + (frame * s.cells + cells[j]) * s.channels;
        norms[j] = s.inverse_norms[frame * s.cells + cells[j]];
      }
      if (i + 1 < touched) {
        int64_t next[4];
        const int count = grid.quarters(lists.touched[i + 1], next);
        for (int j = 0; j < count; ++j)
          fetch(s.support + (frame * s.cells + next[j]) * s.channels, s.channels);
      }
      for (int32_t item = lists.first[square]; item >= 0;) {
        int32_t items[kVectorsAtOnce];
        const float* vectors[kVectorsAtOnce];
        int count = 0;
        for (; item >= 0 && count < kVectorsAtOnce; item = lists.next[item], ++count) {
          items[count] = item;
          vectors[count] = s.vectors[begin + item / kept];
        }
        float products[kVectorsAtOnce][4];
        if (quarters == 4)
          products_of_some<4>(vectors, count, rows, s.channels, products);
        else if (quarters == 2)
          products_of_some<2>(vectors, count, rows, s.channels, products);
        else
          products_of_some<1>(vectors, count, rows, s.channels, products);
        for (int a = 0; a < count; ++a)
          for (int j = 0; j < 4; ++j)
            lists.key(items[a] / kept, items[a] % kept * 4 + j) =
                j < quarters ? key_of(products[a][j] * norms[j], cells[j]) : 0;
      }
      lists.first[square] = -1;
    }
    for (int64_t m = begin; m < end; m += kLanes) {
      lists.choose(m - begin, s.top_k);
      for (int64_t lane = 0; lane < kLanes && m + lane < end; ++lane) {
        for (int64_t k = 0; k < s.top_k; ++k) lists.best[k] = lists.lanes[k * kLanes + lane];
        found.set(s, frame, m + lane, lists.best.data());
      }
    }
  });
}

// The K best cells of all positions in all frames, by squares of side `square`, of which `kept` are
// kept at every level.
inline Report search_squares(const Search& s, int64_t map_width, int64_t square, int64_t kept,
                            float smallest, int64_t threads, const Found& found) {
  constexpr int kMostLevels = 32;
  const Grid cells{map_width, s.cells / map_width};
  Level levels[kMostLevels];
  int count = 0;
  for (int64_t side = 2; side <= square && count < kMostLevels; side *= 2, ++count) {
    const Grid finer = count ? levels[count - 1].grid : cells;
    levels[count].allocate(s, finer.half());
    levels[count].sum_up(s, finer, count ? levels[count - 1].sums.data() : s.support,
                         count ? nullptr : s.inverse_norms, smallest, threads);
  }
  const int64_t size = s.frames * s.positions * kept;
  Array<float> scores(size);
  Array<int32_t> chosen(size);
  Array<int64_t> place(s.positions);
  for (int64_t m = 0; m < s.positions; ++m) place[m] = m;
  const Found here{place.data(), s.positions, scores.data(), chosen.data()};
  const auto of_level = [&](const Level& level) {
    Search own = s;
    own.support = level.sums.data();
    own.inverse_norms = level.inverse_norms.data();
    own.cells = level.grid.count();
    own.top_k = own.held = kept;
    return own;
  };
  const Search top = of_level(levels[count - 1]);
  search(top, Kept(), threads, here);
  for (int level = count - 2; level >= 0; --level)
    refine(of_level(levels[level]), levels[level].grid, chosen.data(), kept, threads, here);
  refine(s, cells, chosen.data(), kept, threads, found);
  Report report;
  report.share = static_cast<double>(4 * kept) / static_cast<double>(s.cells);
  return report;
}

}  // namespace TROVID_ISA
