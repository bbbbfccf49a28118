// A linear map of tiles by a weight [rows, columns] of which a good part is zero, and what follows it in a Transformer
// layer: nothing, GELU, or the sum with the residual and LayerNorm.
//
// Groups of 4, 2 or 1 consecutive rows of the weight share the list of the columns in which any of them is not zero;
// which of the three is the quickest follows from how many such columns there are. For a tile of tokens, each of these
// columns is then a multiplication of a few vectors by one number per row of the group, with all sums in registers.
#include <cmath>

#include "functions.h"
#include "tiles.h"

namespace {

constexpr int64_t ROW_BLOCK = 512;  // rows whose sums are kept in the L2 cache
// Columns of a tile that are kept in the L1 cache, for small groups, which load most often, or in the L2 cache.
constexpr int64_t NEAR_BLOCK = 24 * 1024 / (sizeof(float) * TILE), FAR_BLOCK = 192 * 1024 / (sizeof(float) * TILE);
static_assert(FAR_BLOCK * VECTORS < 1 << 16);
constexpr int64_t AHEAD = 4;  // entries; what they read is fetched early

struct Matrix {
  const float* values;
  int64_t rows, columns;
};

// Rows in groups of ``rows``, columns in blocks of ``block``. Entries stand in the order in which they are used: by
// block of rows, block of columns, group. ``ends``: where the entries of each group in each block end.
struct Packed {
  int rows;
  int64_t block;
  std::vector<int64_t> ends;
  std::vector<uint16_t> places;  // column within its block times VECTORS
  std::vector<float> values;     // [entries, rows]
  std::vector<float> bias;       // zeros in the padding
};

// ---- packing --------------------------------------------------------------------------------------------------------

// Row ``row``, or zeros beyond the last.
const float* row_or_zeros(const Matrix& weight, int64_t row, const std::vector<float>& zeros) {
  return row < weight.rows ? weight.values + row * weight.columns : zeros.data();
}

// The columns that are not zero, summed over the groups of 1, 2 and 4 rows.
struct Counts {
  int64_t single, pairs, fours;
};

Counts count_columns(const Matrix& weight, const std::vector<float>& zeros) {
  Counts counts{0, 0, 0};
  for (int64_t row = 0; row < weight.rows; row += GROUP) {
    const float *a = row_or_zeros(weight, row, zeros), *b = row_or_zeros(weight, row + 1, zeros);
    const float *c = row_or_zeros(weight, row + 2, zeros), *d = row_or_zeros(weight, row + 3, zeros);
    int32_t single = 0, pairs = 0, fours = 0;
    for (int64_t column = 0; column < weight.columns; ++column) {
      const int32_t p = a[column] != 0, q = b[column] != 0, r = c[column] != 0, s = d[column] != 0;
      single += p + q + r + s;
      pairs += (p | q) + (r | s);
      fours += p | q | r | s;
    }
    counts.single += single;
    counts.pairs += pairs;
    counts.fours += fours;
  }
  return counts;
}

template <int ROWS>
void pack_rows(const Matrix& weight, const std::vector<float>& zeros, int64_t entries, Packed& packed) {
  packed.rows = ROWS;
  packed.block = ROWS < 4 ? NEAR_BLOCK : FAR_BLOCK;
  packed.places.resize(entries + AHEAD);  // one more at least: a place is written before it is known to be kept
  packed.values.resize(entries * ROWS);
  int64_t entry = 0;
  uint8_t kept[FAR_BLOCK];
  for (int64_t top = 0; top < weight.rows; top += ROW_BLOCK)
    for (int64_t left = 0; left < weight.columns; left += packed.block)
      for (int64_t row = top; row < std::min(top + ROW_BLOCK, weight.rows); row += ROWS) {
        const float* rows[ROWS];
        for (int i = 0; i < ROWS; ++i) rows[i] = row_or_zeros(weight, row + i, zeros) + left;
        const int64_t columns = std::min(packed.block, weight.columns - left), first = entry;
        for (int64_t column = 0; column < columns; ++column) {
          bool any = false;
          for (int i = 0; i < ROWS; ++i) any |= rows[i][column] != 0;
          kept[column] = any;
        }
        for (int64_t column = 0; column < columns; ++column) {
          packed.places[entry] = static_cast<uint16_t>(column * VECTORS);
          entry += kept[column];
        }
        for (int64_t i = first; i < entry; ++i)
          for (int j = 0; j < ROWS; ++j) packed.values[i * ROWS + j] = rows[j][packed.places[i] / VECTORS];
        packed.ends.push_back(entry);
      }
}

Packed pack(const Matrix& weight, const float* bias) {
  const std::vector<float> zeros(weight.columns, 0.0f);
  const Counts counts = count_columns(weight, zeros);
  Packed packed;
  packed.bias.assign(bias, bias + weight.rows);
  packed.bias.resize(whole_groups(weight.rows), 0.0f);
  // Measured time per kept column of a group, relative to that of a row in a group of four.
  const double single = 1.4 * counts.single, pairs = 2.3 * counts.pairs, fours = 4.0 * counts.fours;
  if (fours <= pairs && fours <= single)
    pack_rows<4>(weight, zeros, counts.fours, packed);
  else if (pairs <= single)
    pack_rows<2>(weight, zeros, counts.pairs, packed);
  else
    pack_rows<1>(weight, zeros, counts.single, packed);
  return packed;
}

// ---- multiplying ----------------------------------------------------------------------------------------------------

// Adds the entries ``first`` to ``last`` to the sums [ROWS][VECTORS] of a group: to what stands there, or if it is
// given to its ``bias``.
template <int ROWS>
void add_group(const Packed& packed, int64_t first, int64_t last, const float* bias, const Vector* inputs,
               Vector* sums) {
  constexpr int OWN = std::min(VECTORS, ACCUMULATORS / ROWS);
  static_assert(VECTORS % OWN == 0);
  const uint16_t* places = packed.places.data();
  const float* values = packed.values.data();
  for (int begin = 0; begin < VECTORS; begin += OWN) {
    Vector* own = sums + begin;
    sum_products<ROWS, OWN>(
        first, last, [=](int row, int i) { return bias != nullptr ? all_lanes(bias[row]) : own[row * VECTORS + i]; },
        [=](int64_t entry) {
          if (ROWS == GROUP)  // from the L2 cache
            for (int i = 0; i < OWN; ++i) __builtin_prefetch(inputs + places[entry + AHEAD] + begin + i);
          return inputs + places[entry] + begin;
        },
        [=](int64_t entry, int row) { return values[entry * ROWS + row]; }, own);
  }
}

void add_any(const Packed& packed, int64_t first, int64_t last, const float* bias, const Vector* inputs, Vector* sums) {
  if (packed.rows == 4) return add_group<4>(packed, first, last, bias, inputs, sums);
  if (packed.rows == 2) return add_group<2>(packed, first, last, bias, inputs, sums);
  add_group<1>(packed, first, last, bias, inputs, sums);
}

// What the next block reads is fetched into the L2 cache while this one is computed: its columns follow no pattern that
// the processor could foresee.
class Ahead {
 public:
  Ahead(const Vector* next, int64_t columns, int64_t steps)
      : next_(reinterpret_cast<const char*>(next)), bytes_(columns * VECTORS * sizeof(Vector)), steps_(steps) {}

  void step() {
    for (const int64_t end = bytes_ * ++step_ / steps_; place_ < end; place_ += 64)
      __builtin_prefetch(next_ + place_, 0, 2);
  }

 private:
  const char* next_;
  int64_t bytes_, steps_, step_ = 0, place_ = 0;
};

void multiply_tile(const Packed& packed, const Matrix& weight, bool activate, const Vector* inputs, Vector* outputs) {
  const int64_t* end = packed.ends.data();
  int64_t entry = 0;
  for (int64_t top = 0; top < weight.rows; top += ROW_BLOCK) {
    const int64_t bottom = std::min(top + ROW_BLOCK, weight.rows);
    for (int64_t left = 0; left < weight.columns; left += packed.block) {
      // Of this tile, else of the one that stands behind it.
      const bool more = left + packed.block < weight.columns;
      const int64_t next = more ? left + packed.block : bottom < weight.rows ? 0 : whole_groups(weight.columns);
      const int64_t columns = std::min(packed.block, weight.columns - (more ? next : 0));
      Ahead ahead(inputs + next * VECTORS, columns, (bottom - top + packed.rows - 1) / packed.rows);
      for (int64_t row = top; row < bottom; row += packed.rows) {
        add_any(packed, entry, *end, left == 0 ? packed.bias.data() + row : nullptr, inputs + left * VECTORS,
                outputs + row * VECTORS);
        entry = *end++;
        ahead.step();
      }
    }
    if (activate) std::transform(outputs + top * VECTORS, outputs + bottom * VECTORS, outputs + top * VECTORS, gelu);
  }
}

// ---- LayerNorm ------------------------------------------------------------------------------------------------------

struct Norm {
  const float *gamma, *beta;
  float epsilon;
};

// ``states`` [rows][VECTORS] become the LayerNorm of their sum with ``residual``.
void add_and_norm(const Norm& norm, const Vector* residual, int64_t rows, Vector* states) {
  Vector mean[VECTORS]{}, factor[VECTORS]{};
  for (int64_t row = 0; row < rows; ++row)
    for (int i = 0; i < VECTORS; ++i) mean[i] += states[row * VECTORS + i] += residual[row * VECTORS + i];
  for (int i = 0; i < VECTORS; ++i) mean[i] /= static_cast<float>(rows);
  for (int64_t row = 0; row < rows; ++row)
    for (int i = 0; i < VECTORS; ++i) {
      const Vector apart = states[row * VECTORS + i] - mean[i];
      factor[i] += apart * apart;
    }
  for (int i = 0; i < VECTORS; ++i)
    for (int lane = 0; lane < LANES; ++lane)
      factor[i][lane] = 1.0f / std::sqrt(factor[i][lane] / static_cast<float>(rows) + norm.epsilon);
  for (int64_t row = 0; row < rows; ++row)
    for (int i = 0; i < VECTORS; ++i) {
      Vector& state = states[row * VECTORS + i];
      state = (state - mean[i]) * factor[i] * norm.gamma[row] + norm.beta[row];
    }
}

}  // namespace

extern "C" {

int64_t aebert_tile_tokens() { return TILE; }

int64_t aebert_tile_rows(int64_t features) { return whole_groups(features); }

// inputs and outputs in ``tiles`` tiles of ``columns`` and ``rows`` features; weight [rows, columns], bias [rows].
// ``activate``: GELU. ``gamma``, unless null: LayerNorm with ``gamma``, ``beta`` [rows] of the sum with ``residual``,
// of the shape of the outputs. Returns 0, or 1 where there is not enough memory.
int aebert_linear(const float* inputs, int64_t tiles, const float* weight, int64_t rows, int64_t columns,
                  const float* bias, int activate, const float* residual, const float* gamma, const float* beta,
                  float epsilon, float* outputs, int64_t threads) {
  try {
    const Matrix matrix{weight, rows, columns};
    const Packed packed = pack(matrix, bias);
    const int64_t from = whole_groups(columns) * VECTORS, to = whole_groups(rows) * VECTORS;
    threads = std::max<int64_t>(1, std::min(threads, tiles));
    in_threads(threads, [&](int64_t number) {
      for (int64_t tile = tiles * number / threads; tile < tiles * (number + 1) / threads; ++tile) {
        Vector* own = reinterpret_cast<Vector*>(outputs) + tile * to;
        const Vector* read = reinterpret_cast<const Vector*>(inputs) + tile * from;
        multiply_tile(packed, matrix, activate != 0, read, own);
        if (gamma != nullptr)
          add_and_norm(Norm{gamma, beta, epsilon}, reinterpret_cast<const Vector*>(residual) + tile * to, rows, own);
      }
    });
    return 0;
  } catch (const std::bad_alloc&) {
    return 1;
  }
}
}
