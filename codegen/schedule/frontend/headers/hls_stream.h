// hls::stream as the scheduler's front end sees it: every access is a call of a function that is declared and never
// defined. An element travels as 64-bit words, so that no structure is passed through memory and the optimiser can take
// every one of them apart.
#pragma once

#include <cstdint>

// What these do is unknown but to memory that nothing else touches: loads and stores may move across them.
#define AEBERT_ACCESS __attribute__((nothrow, leaf))
// Pure wiring.
#define AEBERT_WIRE __attribute__((nothrow, leaf, const))

extern "C" {
// The loop whose body holds the call at this source line begins an iteration.
AEBERT_ACCESS void aebert_iteration(int line);
AEBERT_ACCESS uint64_t aebert_stream_read(const void* stream, int bits);
AEBERT_ACCESS uint64_t aebert_stream_read_nb(const void* stream, int bits);
AEBERT_ACCESS bool aebert_stream_empty(const void* stream);
AEBERT_ACCESS bool aebert_stream_full(const void* stream);
AEBERT_ACCESS void aebert_stream_write(const void* stream, int bits, uint64_t element);
AEBERT_ACCESS bool aebert_stream_write_nb(const void* stream, int bits, uint64_t element);
// Word `number` of what a read returned, and whether there was anything to return.
AEBERT_WIRE uint64_t aebert_stream_word(uint64_t read, int number);
AEBERT_WIRE bool aebert_stream_valid(uint64_t read);
// An element whose words so far are `words`, with one more.
AEBERT_WIRE uint64_t aebert_stream_element(uint64_t words, uint64_t word, int number);
}

namespace hls {

template <typename T, int kDepth = 0>
class stream;

template <typename T>
class stream<T, 0> {
 public:
  stream() = default;
  explicit stream(const char*) {}
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;

  T read() { return unpacked(aebert_stream_read(this, kBits)); }
  void read(T& value) { value = read(); }
  stream& operator>>(T& value) {
    value = read();
    return *this;
  }
  bool read_nb(T& value) {
    const uint64_t taken = aebert_stream_read_nb(this, kBits);
    value = unpacked(taken);
    return aebert_stream_valid(taken);
  }

  void write(const T& value) { aebert_stream_write(this, kBits, packed(value)); }
  stream& operator<<(const T& value) {
    write(value);
    return *this;
  }
  bool write_nb(const T& value) { return aebert_stream_write_nb(this, kBits, packed(value)); }

  bool empty() const { return aebert_stream_empty(this); }
  bool full() const { return aebert_stream_full(this); }

 private:
  static constexpr int kBits = 8 * int(sizeof(T));
  static constexpr int kWords = (int(sizeof(T)) + 7) / 8;

  static T unpacked(uint64_t taken) {
    uint64_t words[kWords];
    for (int number = 0; number < kWords; ++number) words[number] = aebert_stream_word(taken, number);
    T value;
    __builtin_memcpy(&value, words, sizeof(T));
    return value;
  }

  // Byte by byte: words read as such would tie the fields that share one to each other, in every register that holds
  // one.
  static uint64_t packed(const T& value) {
    uint64_t words[kWords] = {};
    uint8_t bytes[sizeof(T)];
    __builtin_memcpy(bytes, &value, sizeof(T));
    for (int at = 0; at < int(sizeof(T)); ++at) words[at / 8] |= uint64_t(bytes[at]) << (8 * (at % 8));
    uint64_t element = 0;
    for (int number = 0; number < kWords; ++number) element = aebert_stream_element(element, words[number], number);
    return element;
  }

  char identity_;
};

// The depth is the top level's business.
template <typename T, int kDepth>
class stream : public stream<T, 0> {
 public:
  using stream<T, 0>::stream;
};

}  // namespace hls
