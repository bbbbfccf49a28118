"""Subnets of one model in integers without calibrating each: with the scales that were found for one of them.

For measuring: where zeros lie, and so how long a launch takes, does not depend on scales. What a subnet loses in
accuracy because its activations are not those the scales were found on, is not looked at here; `quantise` does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderLayer, FloatArray, LayerNorm, Linear, MatrixName
from aebert.numerics.quantised import QuantisedEncoder, QuantisedLayer, QuantisedLinear
from aebert.quantisation.contract_limits import check_contract
from aebert.quantisation.flat_tensors import sealed
from aebert.quantisation.integer_layer import matrix_steps, quantise_linear
from aebert.quantisation.layer_scales import LayerScales
from aebert.quantisation.quantiser_options import QuantisationConfig
from aebert.support.errors import AebertError

if TYPE_CHECKING:
    from aebert.quantisation.quantise import QuantisationResult

# Without activations there is no mean error to take back.
_CONFIG = QuantisationConfig(correct_bias=False)

MatrixQuantiser = Callable[[int, MatrixName, Linear], QuantisedLinear]


@dataclass(frozen=True)
class FixedScales:
    """``calibrated`` and ``scales``: what quantising an encoder gave whose LayerNorms are (attention, FFN) by layer."""

    norms: tuple[tuple[LayerNorm, LayerNorm], ...]
    calibrated: QuantisedEncoder
    scales: tuple[LayerScales, ...]

    @classmethod
    def of(cls, encoder: Encoder, result: QuantisationResult) -> FixedScales:
        """``result``: of quantising ``encoder``."""
        return cls(_norms(encoder), result.encoder, result.scales)

    def quantise_matrix(self, layer: int, name: MatrixName, linear: Linear) -> QuantisedLinear:
        """``linear`` in the place of a matrix of the encoder."""
        steps = matrix_steps(self.scales[layer], name)
        nothing = np.zeros((1, linear.weight.shape[1]), np.int8)
        target: FloatArray = np.zeros((1, linear.weight.shape[0]), np.float32)
        return quantise_linear(f"layers.{layer}.{name}", linear, steps.input, steps.output, nothing, target, _CONFIG)

    def quantise(self, subnet: Encoder, matrix: MatrixQuantiser | None = None) -> QuantisedEncoder:
        """``matrix`` may remember what `quantise_matrix` gave.

        Raises AebertError when ``subnet`` differs from the encoder in more than its six matrices.
        """
        self._check_sibling(subnet)
        make = matrix or self.quantise_matrix

        def quantise_layer(number: int, base: QuantisedLayer, layer: EncoderLayer) -> QuantisedLayer:
            made = {name: make(number, name, layer.matrix(name)) for name in MATRIX_NAMES}
            return replace(
                base,
                query=made["query"],
                key=made["key"],
                value=made["value"],
                attention_output=made["attention_output"],
                ffn_in=made["ffn_in"],
                ffn_out=made["ffn_out"],
            )

        pairs = zip(self.calibrated.layers, subnet.layers, strict=True)
        layers = tuple(quantise_layer(number, base, layer) for number, (base, layer) in enumerate(pairs))
        result = sealed(replace(self.calibrated, layers=layers, subnet_digest=subnet.digest))
        check_contract(result)
        return result

    def _check_sibling(self, subnet: Encoder) -> None:
        if subnet.shape != self.calibrated.shape:
            raise AebertError(
                f"subnet {subnet.digest[:12]}: of another shape than the project's; generate a project from it"
            )
        for number, (own, other) in enumerate(zip(self.norms, _norms(subnet), strict=True)):
            for mine, theirs in zip(own, other, strict=True):
                if not (np.array_equal(mine.gamma, theirs.gamma) and np.array_equal(mine.beta, theirs.beta)):
                    raise AebertError(
                        f"subnet {subnet.digest[:12]}: a LayerNorm of layer {number} is not the project's, so it was "
                        "fine-tuned; generate a project from it"
                    )


def _norms(encoder: Encoder) -> tuple[tuple[LayerNorm, LayerNorm], ...]:
    return tuple((layer.attention_norm, layer.ffn_norm) for layer in encoder.layers)


def linear_digest(linear: Linear) -> bytes:
    """A name for a matrix by its content (SHA-256)."""
    digest = hashlib.sha256(np.ascontiguousarray(linear.weight).data)
    digest.update(np.ascontiguousarray(linear.bias).data)
    return digest.digest()
