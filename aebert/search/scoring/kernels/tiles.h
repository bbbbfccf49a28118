// States of tokens in tiles: [tiles][features][TILE], a feature of a tile's tokens in a few whole vectors. Every token
// has a lane of its own, and nothing that is computed for it depends on the others. The features of a tile are padded
// to a multiple of GROUP rows, whose content does not matter, and so are the tokens of the last tile.
// Written with the vector extensions of GCC and Clang.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr int LANES = 16, VECTORS = 6, ACCUMULATORS = 24;
#elif defined(__AVX__)
constexpr int LANES = 8, VECTORS = 8, ACCUMULATORS = 8;
#elif defined(__aarch64__)
constexpr int LANES = 4, VECTORS = 6, ACCUMULATORS = 24;
#else
constexpr int LANES = 4, VECTORS = 8, ACCUMULATORS = 8;
#endif
constexpr int TILE = LANES * VECTORS;  // tokens
constexpr int GROUP = 4;               // the most rows of a result that are computed together

// GCC would rather load a vector again for each of its uses.
#if defined(__AVX512F__) && !defined(__clang__)
#define KEEP_IN_REGISTER(vector) asm("" : "+v"(vector))
#else
#define KEEP_IN_REGISTER(vector)
#endif

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Indices __attribute__((vector_size(4 * LANES)));

struct Free {
  void operator()(Vector* memory) const { ::operator delete(memory, std::align_val_t(sizeof(Vector))); }
};
using Buffer = std::unique_ptr<Vector[], Free>;

inline Buffer make_buffer(int64_t vectors) {
  return Buffer(static_cast<Vector*>(::operator new(sizeof(Vector) * vectors, std::align_val_t(sizeof(Vector)))));
}

inline Vector all_lanes(float value) { return value - Vector{}; }

// ``rows`` with the padding.
inline int64_t whole_groups(int64_t rows) { return (rows + GROUP - 1) / GROUP * GROUP; }

// For each of ROWS rows: sums[row * VECTORS + i] = start(row, i) + the sum over ``entry`` of inputs(entry)[i] *
// value(entry, row). OWN vectors at a time, all of whose sums fit the registers.
template <int ROWS, int OWN, class Start, class Inputs, class Value>
__attribute__((always_inline)) inline void sum_products(int64_t first, int64_t last, Start start, Inputs inputs,
                                                        Value value, Vector* sums) {
  Vector own[ROWS][OWN];
  for (int row = 0; row < ROWS; ++row)
    for (int i = 0; i < OWN; ++i) own[row][i] = start(row, i);
  for (int64_t entry = first; entry < last; ++entry) {
    const Vector* vectors = inputs(entry);
    for (int i = 0; i < OWN; ++i) {
      Vector vector = vectors[i];
      KEEP_IN_REGISTER(vector);
      for (int row = 0; row < ROWS; ++row) own[row][i] += vector * value(entry, row);
    }
  }
  for (int row = 0; row < ROWS; ++row)
    for (int i = 0; i < OWN; ++i) sums[row * VECTORS + i] = own[row][i];
}

// ``work(number)`` for each number below ``threads``, at the same time. It must not throw.
template <class Work>
void in_threads(int64_t threads, Work work) {
  std::vector<std::thread> others;
  others.reserve(threads);
  for (int64_t number = 1; number < threads; ++number) {
    try {
      others.emplace_back(work, number);
    } catch (const std::system_error&) {
      work(number);  // no more threads to be had
    }
  }
  work(0);
  for (std::thread& other : others) other.join();
}
