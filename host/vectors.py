"""Moved to codegen.vectors."""

from codegen.vectors import Int16Array, StoredPass, input_bytes, output_size, split_output, stored_passes

__all__ = ["Int16Array", "StoredPass", "input_bytes", "output_size", "split_output", "stored_passes"]
