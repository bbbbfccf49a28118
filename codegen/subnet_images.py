"""Many subnets for one design: what they have in common is quantised and packed once."""

from __future__ import annotations

from dataclasses import dataclass

from aebert.design.hardware_config import HardwareConfig
from aebert.design.head_places import PROJECTIONS
from aebert.models.encoder import MATRIX_NAMES, Encoder, EncoderShape, Linear, MatrixName, kept_heads
from aebert.numerics.quantised import QuantisedEncoder, QuantisedLinear
from aebert.quantisation.fixed_scales import FixedScales, linear_digest
from aebert.support.byte_cache import ByteCache
from codegen.memory_image import MatrixImage, MemoryImage, join_images, matrix_image

# Of remembered matrices. A search's candidates share them: at most its levels times the matrices of the model.
CACHE_BYTES = 512 << 20

_Heads = tuple[int, ...]
_Key = tuple[int, MatrixName, bytes, _Heads]


@dataclass(frozen=True)
class _Matrix:
    quantised: QuantisedLinear
    image: MatrixImage

    @property
    def bytes(self) -> int:
        return self.quantised.weight.nbytes + self.image.weights.nbytes + self.image.indices.nbytes


class SubnetImages:
    """Makes the memory images of subnets of one model for the design of ``config``.

    A matrix that an earlier subnet had too is known by its content, and not made again.
    """

    def __init__(self, scales: FixedScales, config: HardwareConfig, cache_bytes: int = CACHE_BYTES) -> None:
        self._scales = scales
        self._config = config
        self._known: ByteCache[_Key, _Matrix] = ByteCache(cache_bytes)

    def encode(self, subnet: Encoder) -> tuple[QuantisedEncoder, MemoryImage]:
        """Raises AebertError when the subnet is not of the model, or does not fit the design."""
        self._config.check_fits(subnet.shape)
        shape = subnet.shape
        matrices: dict[tuple[int, MatrixName], _Matrix] = {}
        kept: dict[int, _Heads] = {}

        def matrix(layer: int, name: MatrixName, linear: Linear) -> QuantisedLinear:
            if layer not in kept:
                # The output decides, once it is quantised, which heads are computed.
                output = self._matrix(shape, layer, "attention_output", subnet.layers[layer].attention_output, ())
                kept[layer] = kept_heads(output.quantised.weight, shape.heads)
            heads = kept[layer] if name in PROJECTIONS else ()
            matrices[layer, name] = found = self._matrix(shape, layer, name, linear, heads)
            return found.quantised

        quantised = self._scales.quantise(subnet, matrix)
        images = [matrices[layer, name].image for layer in range(shape.layers) for name in MATRIX_NAMES]
        return quantised, join_images(images, quantised, self._config)

    def _matrix(self, shape: EncoderShape, layer: int, name: MatrixName, linear: Linear, heads: _Heads) -> _Matrix:
        def made() -> _Matrix:
            quantised = self._scales.quantise_matrix(layer, name, linear)
            return _Matrix(quantised, matrix_image(quantised, name, shape, self._config, heads))

        return self._known.get((layer, name, linear_digest(linear), heads), made)
