"""The integer reference: docs/numerics.md on whole arrays, bit for bit what the accelerator computes."""

from aebert.numerics.reference.batch import SequenceBatch
from aebert.numerics.reference.encoder import run_batch, run_encoder, trace_encoder
from aebert.numerics.reference.residual import from_residual, to_residual
from aebert.numerics.reference.trace import LayerTrace

__all__ = [
    "LayerTrace",
    "SequenceBatch",
    "from_residual",
    "run_batch",
    "run_encoder",
    "to_residual",
    "trace_encoder",
]
