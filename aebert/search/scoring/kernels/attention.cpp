// Softmax attention within each of many sequences of different lengths, whose tokens stand in tiles one after another.
//
// For a head of a sequence and its queries in one tile, scores (a product with the keys), their softmax and the
// context (a product with the values) are computed with a query in each lane.
#include <atomic>
#include <cmath>

#include "functions.h"
#include "tiles.h"

namespace {

struct Call {
  const float *query, *key, *value;
  const int64_t* lengths;
  bool first_only;
  int64_t heads, width;
  float* context;
};

// Tokens ``first`` to ``last`` of those in the tile whose features begin at ``tile``.
struct Piece {
  int64_t tile, first, last;
};

// Tokens ``first`` to ``last`` in the pieces that lie in one tile each; ``visit(piece)``.
template <class Visit>
void for_pieces(int64_t features, int64_t first, int64_t last, Visit visit) {
  for (int64_t token = first; token < last;) {
    const int64_t start = token / TILE * TILE, end = std::min(last, start + TILE);
    visit(Piece{start * whole_groups(features), token - start, end - start});
    token = end;
  }
}

// sums[row] = the sum over ``entry`` of inputs[entry] * value(entry, row), for ``rows`` rows of VECTORS vectors, of
// which the first ``vectors`` are wanted; added to what stands in the sums if ``more``.
template <int OWN, class Value>
void multiply(int64_t rows, int64_t entries, int vectors, const Vector* inputs, Value value, bool more, Vector* sums) {
  if constexpr (OWN > 1)
    if (vectors < OWN) return multiply<OWN - 1>(rows, entries, vectors, inputs, value, more, sums);
  for (int64_t row = 0; row < rows; row += GROUP) {
    Vector* own = sums + row * VECTORS;
    sum_products<GROUP, OWN>(
        0, entries, [=](int i, int j) { return more ? own[i * VECTORS + j] : Vector{}; },
        [=](int64_t entry) { return inputs + entry * VECTORS; },
        [=](int64_t entry, int i) { return value(entry, std::min(row + i, rows - 1)); }, own);
  }
  if (vectors > OWN) multiply<OWN>(rows, entries, vectors - OWN, inputs + OWN, value, more, sums + OWN);
}

// The softmax over the first ``keys`` rows of ``scores`` times ``scale``, but for a factor for each lane.
Vector exponentials(int64_t keys, float scale, Vector* scores) {
  Vector highest = scores[0], total{};
  for (int64_t row = 1; row < keys; ++row) {
    const Vector score = scores[row * VECTORS];
    highest = choose(score > highest, score, highest);
  }
  for (int64_t row = 0; row < keys; ++row) {
    Vector& score = scores[row * VECTORS];
    score = exp_of_negative((score - highest) * scale);
    total += score;
  }
  return 1.0f / total;
}

// Allocated before a thread starts, as nothing may be thrown in it. Rows of VECTORS.
struct Workspace {
  Buffer scores, context;
};

// The queries of ``asked`` in the head whose features begin at ``row``, for the keys ``first`` to ``last``.
void attend(const Call& call, int64_t row, const Piece& asked, int64_t first, int64_t last, const Workspace& work) {
  constexpr int OWN = std::min(VECTORS, ACCUMULATORS / GROUP);
  const int64_t features = call.heads * call.width;
  // Whole vectors of the tile: the lanes of other sequences' tokens are computed in vain.
  const int64_t skipped = asked.first / LANES;
  const int vectors = static_cast<int>((asked.last + LANES - 1) / LANES - skipped);
  const Vector* queries = reinterpret_cast<const Vector*>(call.query + asked.tile + row * TILE) + skipped;
  Vector *const scores = work.scores.get(), *const context = work.context.get();
  int64_t keys = 0;
  for_pieces(features, first, last, [&](const Piece& piece) {
    const float* key = call.key + piece.tile + row * TILE + piece.first;
    multiply<OWN>(
        piece.last - piece.first, call.width, vectors, queries,
        [=](int64_t entry, int64_t i) { return key[entry * TILE + i]; }, false, scores + keys * VECTORS);
    keys += piece.last - piece.first;
  });
  const float scale = 1.0f / std::sqrt(static_cast<float>(call.width));
  Vector factor[VECTORS];
  for (int i = 0; i < vectors; ++i) factor[i] = exponentials(keys, scale, scores + i);
  keys = 0;
  for_pieces(features, first, last, [&](const Piece& piece) {
    const float* value = call.value + piece.tile + row * TILE + piece.first;
    multiply<OWN>(
        call.width, piece.last - piece.first, vectors, scores + keys * VECTORS,
        [=](int64_t entry, int64_t i) { return value[i * TILE + entry]; }, keys > 0, context);
    keys += piece.last - piece.first;
  });
  for (int64_t i = 0; i < call.width; ++i) {
    Vector* own = context + i * VECTORS;
    for (int j = 0; j < vectors; ++j) own[j] *= factor[j];
    std::copy_n(reinterpret_cast<const float*>(own) + asked.first - skipped * LANES, asked.last - asked.first,
                call.context + asked.tile + (row + i) * TILE + asked.first);
  }
}

// Sequence ``number``, which begins at ``token``.
void attend_sequence(const Call& call, int64_t number, int64_t token, const Workspace& work) {
  const int64_t features = call.heads * call.width, end = token + call.lengths[number];
  const int64_t asked = call.first_only ? number : token, asked_end = call.first_only ? number + 1 : end;
  for (int64_t row = 0; row < features; row += call.width)
    for_pieces(features, asked, asked_end, [&](const Piece& piece) { attend(call, row, piece, token, end, work); });
}

}  // namespace

// key, value: tiles of heads * width features, with the tokens of ``sequences`` sequences of ``lengths``; query and
// context: the same or, with ``first_only``, one token for each sequence. Returns 0, or 1 where there is not enough
// memory.
extern "C" int aebert_attention(const float* query, const float* key, const float* value, const int64_t* lengths,
                                int64_t sequences, int first_only, int64_t heads, int64_t width, float* context,
                                int64_t threads) {
  try {
    const Call call{query, key, value, lengths, first_only != 0, heads, width, context};
    threads = std::max<int64_t>(1, std::min(threads, sequences));
    std::vector<int64_t> tokens(sequences + 1, 0);
    for (int64_t number = 0; number < sequences; ++number) tokens[number + 1] = tokens[number] + lengths[number];
    const int64_t longest = sequences == 0 ? 0 : *std::max_element(lengths, lengths + sequences);
    // A group may begin at any key, and then go beyond the last one.
    const int64_t score_rows = longest + GROUP, context_rows = whole_groups(width);
    std::vector<Workspace> work;
    for (int64_t number = 0; number < threads; ++number)
      work.push_back(Workspace{make_buffer(score_rows * VECTORS), make_buffer(context_rows * VECTORS)});
    std::atomic<int64_t> next{0};
    in_threads(threads, [&](int64_t thread) {
      for (int64_t number = next++; number < sequences; number = next++)
        attend_sequence(call, number, tokens[number], work[thread]);
    });
    return 0;
  } catch (const std::bad_alloc&) {
    return 1;
  }
}
