"""From a model to an ONNX graph that takes any number of sequences and tokens: float32, or int8 as the accelerator."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx

from aebert.onnx_exchange.builder import GraphBuilder
from aebert.onnx_exchange.float_layers import float_layer
from aebert.onnx_exchange.host_parts import LayerInputs, add_head, embed
from aebert.onnx_exchange.qdq_layers import QuantisedParts, qdq_layer
from aebert.onnx_exchange.transformer_model import TransformerModel
from aebert.quantisation.quantise import QuantisationResult
from aebert.support.errors import AebertError

_Layers = Callable[[GraphBuilder, LayerInputs], str]


def export_float(model: TransformerModel) -> onnx.ModelProto:
    """The model in float32. Its weights, zeros included, are those of ``model`` bit for bit."""

    def layers(builder: GraphBuilder, inputs: LayerInputs) -> str:
        hidden = inputs.hidden
        for number, layer in enumerate(model.encoder.layers):
            hidden = float_layer(builder, f"encoder.{number}", layer, model.encoder.shape, hidden, inputs.mask)
        return hidden

    return _export(model, layers, {"aebert.encoder": model.encoder.digest})


def export_int8(model: TransformerModel, quantised: QuantisationResult) -> onnx.ModelProto:
    """The model with its encoder in int8: weights, scales and zero points are those of ``quantised``.

    What lies between the products (softmax, GELU, LayerNorm, residual) is float32, where the accelerator has integers.
    """
    if quantised.encoder.subnet_digest != model.encoder.digest:
        raise AebertError("int8 export: the integers were made from another encoder; quantise this one")

    def layers(builder: GraphBuilder, inputs: LayerInputs) -> str:
        hidden = inputs.hidden
        parts = zip(model.encoder.layers, quantised.encoder.layers, quantised.scales, strict=True)
        for number, (exact, integers, scales) in enumerate(parts):
            layer = QuantisedParts(exact, integers, scales)
            hidden = qdq_layer(builder, f"encoder.{number}", layer, model.encoder.shape, hidden, inputs.mask)
        return hidden

    digests = {"aebert.encoder": model.encoder.digest, "aebert.quantised": quantised.encoder.digest}
    return _export(model, layers, digests)


def _export(model: TransformerModel, layers: _Layers, digests: Mapping[str, str]) -> onnx.ModelProto:
    if model.embeddings is None:
        raise AebertError("export: the model has no embeddings; give a complete model directory")
    builder = GraphBuilder()
    add_head(builder, model, layers(builder, embed(builder, model, model.embeddings)))
    return builder.model(f"aebert_{model.family}", dict(digests))
