"""Which operators an exported encoder is made of; a graph with any other is refused before anything is run."""

from __future__ import annotations

_LAYOUT = (
    "Cast CastLike Concat Constant ConstantOfShape Dropout Expand Flatten Gather GatherElements GatherND Identity "
    "Range Reshape ScatterElements ScatterND Shape Size Slice Split Squeeze Tile Transpose Trilu Unsqueeze"
)
_ARITHMETIC = (
    "Abs Add ArgMax Clip CumSum DequantizeLinear Div Erf Exp Max Min Mod Mul Neg Pow Reciprocal ReduceL2 ReduceMax "
    "ReduceMean ReduceMin ReduceSum Sigmoid Sign Sqrt Sub Tanh"
)
_LOGIC = "And Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or Where Xor"
_NETWORK = "Attention Elu Gelu Gemm LayerNormalization LogSoftmax MatMul RMSNormalization Relu Selu Softmax"
# Of onnxruntime.transformers.optimizer.
MICROSOFT = "com.microsoft:"
_FUSED = (
    "Attention BiasGelu EmbedLayerNormalization FastGelu FusedGemm FusedMatMul Gelu MultiHeadAttention QuickGelu "
    "SkipLayerNormalization"
)

# What quantisers write; DequantizeLinear alone may stand before weights of a graph that computes in float32.
QUANTISED_OPERATORS = frozenset(
    [
        *["ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear"],
        *(
            MICROSOFT + name
            for name in [
                "DynamicQuantizeLSTM",
                "DynamicQuantizeMatMul",
                "MatMulIntegerToFloat",
                "MatMulNBits",
                "QAttention",
                "QGemm",
                "QLinearAdd",
                "QLinearMul",
                "QEmbedLayerNormalization",
                "QuantizeLinear",
                "DequantizeLinear",
                "MatMulBnb4",
            ]
        ),
    ]
)

KNOWN_OPERATORS = frozenset(
    [*" ".join((_LAYOUT, _ARITHMETIC, _LOGIC, _NETWORK)).split(), *(MICROSOFT + name for name in _FUSED.split())]
)
