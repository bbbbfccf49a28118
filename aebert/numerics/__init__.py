"""The integer contract of docs/numerics.md: operations and tables, the quantised encoder, the integer reference."""
