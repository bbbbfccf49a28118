"""Hugging Face directories: the encoder in typed form, and what stays on the host."""

from aebert.models.digest import encoder_digest, make_encoder
from aebert.models.load import load_encoder, matrix_shape

__all__ = ["encoder_digest", "load_encoder", "make_encoder", "matrix_shape"]
