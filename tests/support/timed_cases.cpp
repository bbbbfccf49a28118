// Small dataflow regions whose cycles can be counted by hand; tests/timing/test_engine.py has the counts.
#include "kernel/streams.h"

using namespace aebert;
using Stream = hls::stream<int>;

namespace {

// A pipelined loop that writes `count` elements.
void source(int count, Stream& out) {
  AEBERT_LOOP(source.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    out.write(i);
  }
}

// The same with a sequential loop.
void slow_source(int count, Stream& out) {
  AEBERT_LOOP(slow_source.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    out.write(i);
  }
}

void relay(int count, Stream& in, Stream& out) {
  AEBERT_LOOP(relay.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    out.write(in.read());
  }
}

// Does not wait for room: what finds none is lost.
int lost = 0;

void dropping_source(int count, Stream& out) {
  lost = 0;
  AEBERT_LOOP(dropping_source.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    if (!out.write_nb(i)) ++lost;
  }
}

// Takes what has come, until it has seen the last element or as many iterations as given.
void try_sink(int iterations, Stream& in) {
  AEBERT_LOOP(try_sink.Elements)
  for (int i = 0; i < iterations; ++i) {
    AEBERT_ITERATION;
    int value;
    in.read_nb(value);
  }
}

// Insists without waiting.
void insist(Stream& out) {
  AEBERT_LOOP(insist.Tries)
  for (int sent = 0; sent < 5;) {
    AEBERT_ITERATION;
    if (out.write_nb(sent)) ++sent;
  }
}

void read_behind_write(Stream& in, Stream& out) {
  AEBERT_LOOP(read_behind_write.Elements)
  for (int i = 0; i < 3; ++i) {
    AEBERT_ITERATION;
    out.write_nb(i);
    in.read();
  }
}

void sink(int count, Stream& in) {
  AEBERT_LOOP(sink.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    in.read();
  }
}

void split(int count, Stream& left, Stream& right) {
  AEBERT_LOOP(split.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    left.write(i);
    right.write(i);
  }
}

// One result, after all elements.
void reduce(int count, Stream& in, Stream& out) {
  int total = 0;
  AEBERT_LOOP(reduce.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    total += in.read();
  }
  out.write(total);
}

// Needs the result first.
void join(int count, Stream& total, Stream& in) {
  total.read();
  AEBERT_LOOP(join.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    in.read();
  }
}

void counts(Stream& out) {
  const int trips[3] = {3, 0, 5};
  AEBERT_LOOP(counts.Elements)
  for (int i = 0; i < 3; ++i) {
    AEBERT_ITERATION;
    out.write(trips[i]);
  }
}

void expand(Stream& in, Stream& out) {
  AEBERT_LOOP(expand.Counts)
  for (int i = 0; i < 3; ++i) {
    AEBERT_ITERATION;
    const int trips = in.read();
    AEBERT_LOOP(expand.Elements)
    for (int j = 0; j < trips; ++j) {
      AEBERT_ITERATION;
      out.write(j);
    }
  }
}

int polls = 0;

void poll(int count, Stream& in) {
  int got = 0;
  polls = 0;
  AEBERT_LOOP(poll.Polls)
  while (got < count) {
    AEBERT_ITERATION;
    ++polls;
    int value;
    if (in.read_nb(value)) {
      ++got;
    } else {
      AEBERT_IDLE;
    }
  }
}

// Sends only while it has credit.
void sender(int count, Stream& out, Stream& credits) {
  int sent = 0;
  int room = 1;
  AEBERT_LOOP(sender.Elements)
  while (sent < count) {
    AEBERT_ITERATION;
    int credit;
    if (credits.read_nb(credit)) ++room;
    if (room == 0) continue;
    out.write(sent++);
    --room;
  }
}

void receiver(int count, Stream& in, Stream& credits) {
  AEBERT_LOOP(receiver.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    credits.write(in.read());
  }
}

void load(int count, read_port<int> words, Stream& out) {
  AEBERT_LOOP(load.Words)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    out.write(words[i]);
  }
}

void keep(int count, write_port<int> words) {
  AEBERT_LOOP(keep.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    words[i] = i;
  }
}

// Adds into `ways` sums in turn.
void accumulate(int count, int ways) {
  memory<int, 16> sums AEBERT_CHECKED(accumulate.sums);
  AEBERT_LOOP(accumulate.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    sums[i % ways] = sums[i % ways] + i;
  }
}

// Reads every bank once per iteration.
void gather(int count) {
  banked_memory<int, 4, 8> rows AEBERT_CHECKED(gather.rows);
  AEBERT_LOOP(gather.Elements)
  for (int i = 0; i < count; ++i) {
    AEBERT_ITERATION;
    int total = 0;
    for (int bank = 0; bank < 4; ++bank) total += rows[bank][(i + bank) % 8];
    (void)total;
  }
}

}  // namespace

extern "C" {

void run_chain(int count, int depth) {
  AEBERT_REGION;
  Stream fifo("fifo", size_t(depth));
  AEBERT_PROCESS(source, count, fifo);
  AEBERT_PROCESS(sink, count, fifo);
  AEBERT_RUN;
}

int run_dropping(int count, int depth, int iterations) {
  AEBERT_REGION;
  Stream fifo("fifo", size_t(depth));
  AEBERT_PROCESS(try_sink, iterations, fifo);
  AEBERT_PROCESS(dropping_source, count, fifo);
  AEBERT_RUN;
  return lost;
}

void run_insist() {
  AEBERT_REGION;
  Stream fifo("fifo", 2);
  AEBERT_PROCESS(insist, fifo);
  AEBERT_PROCESS(sink, 2, fifo);
  AEBERT_RUN;
}

void run_read_behind_write() {
  AEBERT_REGION;
  Stream in("in", 2);
  Stream out("out", 2);
  AEBERT_PROCESS(source, 3, in);
  AEBERT_PROCESS(read_behind_write, in, out);
  AEBERT_PROCESS(sink, 3, out);
  AEBERT_RUN;
}

void run_relay(int count, int before, int after) {
  AEBERT_REGION;
  Stream in("in", size_t(before));
  Stream out("out", size_t(after));
  AEBERT_PROCESS(sink, count, out);
  AEBERT_PROCESS(relay, count, in, out);
  AEBERT_PROCESS(source, count, in);
  AEBERT_RUN;
}

void run_held_results(int count) {
  AEBERT_REGION;
  Stream in("in", 4);
  Stream out("out", 4);
  AEBERT_PROCESS(slow_source, count, in);
  AEBERT_PROCESS(relay, count, in, out);
  AEBERT_PROCESS(sink, count, out);
  AEBERT_RUN;
}

void run_reconvergent(int count, int depth) {
  AEBERT_REGION;
  Stream left("left", 2);
  Stream right("right", size_t(depth));
  Stream total("total", 2);
  AEBERT_PROCESS(split, count, left, right);
  AEBERT_PROCESS(reduce, count, left, total);
  AEBERT_PROCESS(join, count, total, right);
  AEBERT_RUN;
}

void run_data_dependent() {
  AEBERT_REGION;
  Stream trips("trips", 4);
  Stream elements("elements", 16);
  AEBERT_PROCESS(counts, trips);
  AEBERT_PROCESS(expand, trips, elements);
  AEBERT_PROCESS(sink, 8, elements);
  AEBERT_RUN;
}

int run_poll(int sent, int wanted) {
  AEBERT_REGION;
  Stream fifo("fifo", 8);
  AEBERT_PROCESS(poll, wanted, fifo);
  AEBERT_PROCESS(source, sent, fifo);
  AEBERT_RUN;
  return polls;
}

void run_credits(int count) {
  AEBERT_REGION;
  Stream data("data", 2);
  Stream credits("credits", 2);
  AEBERT_PROCESS(sender, count, data, credits);
  AEBERT_PROCESS(receiver, count, data, credits);
  AEBERT_RUN;
}

void run_load(int count) {
  const int words[256] = {};
  AEBERT_REGION;
  Stream fifo("fifo", 4);
  AEBERT_PROCESS(load, count, AEBERT_READ_PORT(words), fifo);
  AEBERT_PROCESS(sink, count, fifo);
  AEBERT_RUN;
}

void run_keep(int count) {
  int words[256];
  AEBERT_REGION;
  AEBERT_PROCESS(keep, count, AEBERT_WRITE_PORT(words));
  AEBERT_RUN;
}

void run_accumulate(int count, int ways) {
  AEBERT_REGION;
  AEBERT_PROCESS(accumulate, count, ways);
  AEBERT_RUN;
}

void run_gather(int count) {
  AEBERT_REGION;
  AEBERT_PROCESS(gather, count);
  AEBERT_RUN;
}
}
