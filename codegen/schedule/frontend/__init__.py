"""Reads the generated C++ as synthesis does: clang's LLVM IR, made a data-flow graph per loop."""
