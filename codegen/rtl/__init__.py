"""SystemVerilog from the scheduled LLVM IR of the kernel's processes."""
