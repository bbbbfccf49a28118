"""A quantised encoder as a flat map of named arrays and a small header, and its digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from aebert.models.encoder import MATRIX_NAMES, EncoderShape
from aebert.numerics.activation import FfnActivation
from aebert.numerics.integers import NUMERICS_VERSION
from aebert.numerics.quantised import (
    QuantisedEncoder,
    QuantisedLayer,
    QuantisedLayerNorm,
    QuantisedLinear,
    Requantiser,
)

Tensor = npt.NDArray[np.integer[Any]]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ShapeHeader(_Strict):
    """``aebert.models.encoder.EncoderShape``, field by field."""

    layers: int
    hidden: int
    heads: int
    ffn: int
    epsilon: float
    max_positions: int
    activation: FfnActivation = "gelu"


class NormHeader(_Strict):
    """The scalars of a ``QuantisedLayerNorm``."""

    shift: int
    epsilon: int
    scale: float


class LayerHeader(_Strict):
    """The scalars of a ``QuantisedLayer``."""

    gelu_fraction_bits: int
    gelu_zero_point: int
    attention_norm: NormHeader
    ffn_norm: NormHeader


class EncoderHeader(_Strict):
    """Everything of a ``QuantisedEncoder`` but its arrays and its digest."""

    numerics_version: int
    shape: ShapeHeader
    input_scale: float
    layers: tuple[LayerHeader, ...]
    subnet_digest: str


def _norm_header(norm: QuantisedLayerNorm) -> NormHeader:
    return NormHeader(shift=norm.shift, epsilon=norm.epsilon, scale=norm.scale)


def header_of(encoder: QuantisedEncoder) -> EncoderHeader:
    """The scalars of ``encoder``."""
    shape = encoder.shape
    return EncoderHeader(
        numerics_version=NUMERICS_VERSION,
        shape=ShapeHeader(
            layers=shape.layers,
            hidden=shape.hidden,
            heads=shape.heads,
            ffn=shape.ffn,
            epsilon=shape.epsilon,
            max_positions=shape.max_positions,
            activation=shape.activation,
        ),
        input_scale=encoder.input_scale,
        layers=tuple(
            LayerHeader(
                gelu_fraction_bits=layer.gelu_fraction_bits,
                gelu_zero_point=layer.gelu_zero_point,
                attention_norm=_norm_header(layer.attention_norm),
                ffn_norm=_norm_header(layer.ffn_norm),
            )
            for layer in encoder.layers
        ),
        subnet_digest=encoder.subnet_digest,
    )


def _requantiser_tensors(name: str, requantiser: Requantiser) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.multiplier", requantiser.multiplier
    yield f"{name}.shift", requantiser.shift


def _layer_tensors(prefix: str, layer: QuantisedLayer) -> Iterator[tuple[str, Tensor]]:
    for name in MATRIX_NAMES:
        linear = layer.matrix(name)
        yield f"{prefix}.{name}.weight", linear.weight
        yield f"{prefix}.{name}.bias", linear.bias
        yield from _requantiser_tensors(f"{prefix}.{name}.requantiser", linear.requantiser)
    for norm_name, norm in (("attention_norm", layer.attention_norm), ("ffn_norm", layer.ffn_norm)):
        yield f"{prefix}.{norm_name}.gain", norm.gain
        yield f"{prefix}.{norm_name}.offset", norm.offset
        yield from _requantiser_tensors(f"{prefix}.{norm_name}.requantiser", norm.requantiser)
    for pass_name, requantiser in (("scores", layer.scores), ("context", layer.context), ("gelu", layer.gelu)):
        yield from _requantiser_tensors(f"{prefix}.{pass_name}", requantiser)


def tensors_of(encoder: QuantisedEncoder) -> dict[str, Tensor]:
    """The arrays of ``encoder`` by dotted name, e.g. ``layers.0.query.weight``."""
    tensors = dict(_requantiser_tensors("input_requantiser", encoder.input_requantiser))
    for number, layer in enumerate(encoder.layers):
        tensors.update(_layer_tensors(f"layers.{number}", layer))
    return tensors


def sealed(encoder: QuantisedEncoder) -> QuantisedEncoder:
    """``encoder`` with its digest: SHA-256 over the header, then name, type, shape and bytes of each array."""
    digest = hashlib.sha256(header_of(encoder).model_dump_json(exclude_defaults=True).encode())
    for name, tensor in sorted(tensors_of(encoder).items()):
        digest.update(f"\n{name} {tensor.dtype.str} {tensor.shape}\n".encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return replace(encoder, digest=digest.hexdigest())


def _read_requantiser(tensors: Mapping[str, Tensor], name: str) -> Requantiser:
    return Requantiser(
        np.asarray(tensors[f"{name}.multiplier"], dtype=np.uint16), np.asarray(tensors[f"{name}.shift"], dtype=np.uint8)
    )


def _read_linear(tensors: Mapping[str, Tensor], name: str) -> QuantisedLinear:
    return QuantisedLinear(
        weight=np.asarray(tensors[f"{name}.weight"], dtype=np.int8),
        bias=np.asarray(tensors[f"{name}.bias"], dtype=np.int32),
        requantiser=_read_requantiser(tensors, f"{name}.requantiser"),
    )


def _read_norm(tensors: Mapping[str, Tensor], name: str, header: NormHeader) -> QuantisedLayerNorm:
    return QuantisedLayerNorm(
        gain=np.asarray(tensors[f"{name}.gain"], dtype=np.int32),
        offset=np.asarray(tensors[f"{name}.offset"], dtype=np.int32),
        shift=header.shift,
        epsilon=header.epsilon,
        requantiser=_read_requantiser(tensors, f"{name}.requantiser"),
        scale=header.scale,
    )


def _read_layer(tensors: Mapping[str, Tensor], prefix: str, header: LayerHeader) -> QuantisedLayer:
    return QuantisedLayer(
        query=_read_linear(tensors, f"{prefix}.query"),
        key=_read_linear(tensors, f"{prefix}.key"),
        value=_read_linear(tensors, f"{prefix}.value"),
        scores=_read_requantiser(tensors, f"{prefix}.scores"),
        context=_read_requantiser(tensors, f"{prefix}.context"),
        attention_output=_read_linear(tensors, f"{prefix}.attention_output"),
        attention_norm=_read_norm(tensors, f"{prefix}.attention_norm", header.attention_norm),
        ffn_in=_read_linear(tensors, f"{prefix}.ffn_in"),
        gelu_fraction_bits=header.gelu_fraction_bits,
        gelu=_read_requantiser(tensors, f"{prefix}.gelu"),
        gelu_zero_point=header.gelu_zero_point,
        ffn_out=_read_linear(tensors, f"{prefix}.ffn_out"),
        ffn_norm=_read_norm(tensors, f"{prefix}.ffn_norm", header.ffn_norm),
    )


def assemble(header: EncoderHeader, tensors: Mapping[str, Tensor]) -> QuantisedEncoder:
    """The inverse of ``header_of`` and ``tensors_of``, sealed anew. Raises KeyError with an absent array's name."""
    shape = header.shape
    return sealed(
        QuantisedEncoder(
            shape=EncoderShape(
                layers=shape.layers,
                hidden=shape.hidden,
                heads=shape.heads,
                ffn=shape.ffn,
                epsilon=shape.epsilon,
                max_positions=shape.max_positions,
                activation=shape.activation,
            ),
            input_scale=header.input_scale,
            input_requantiser=_read_requantiser(tensors, "input_requantiser"),
            layers=tuple(_read_layer(tensors, f"layers.{number}", layer) for number, layer in enumerate(header.layers)),
            subnet_digest=header.subnet_digest,
            digest="",
        )
    )
