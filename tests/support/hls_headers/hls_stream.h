// What UG1399 ("HLS Stream Library") documents of hls::stream, declared for syntax checks only: the open header has no
// depth parameter.
#pragma once

namespace hls {

template <typename T, int DEPTH = 0>
class stream;

template <typename T>
class stream<T, 0> {
 public:
  stream();
  explicit stream(const char* name);
  stream(const stream&) = delete;
  stream& operator=(const stream&) = delete;

  void write(const T& value);
  T read();
  void read(T& value);
  bool write_nb(const T& value);
  bool read_nb(T& value);
  bool empty() const;
  bool full() const;
};

template <typename T, int DEPTH>
class stream : public stream<T, 0> {
 public:
  stream();
  explicit stream(const char* name);
};

}  // namespace hls
