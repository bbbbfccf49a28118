"""The description of a design: hardware config, operand layout, program of passes. `codegen` renders it."""
