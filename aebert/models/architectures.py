"""Where each supported model family keeps its sizes and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from aebert.models.encoder import MatrixName
from aebert.numerics.activation import FfnActivation


@dataclass(frozen=True)
class SizeFields:
    """The names of the sizes in config.json."""

    layers: str = "num_hidden_layers"
    hidden: str = "hidden_size"
    heads: str = "num_attention_heads"
    ffn: str = "intermediate_size"
    activation: str = "hidden_act"
    epsilon: str | None = "layer_norm_eps"


@dataclass(frozen=True)
class Architecture:
    """A model family: the fields of its config.json and the names of its tensors.

    ``layer_prefix`` holds ``{layer}``; a checkpoint with a head puts ``root`` and a dot in front of it.
    """

    model_type: str
    root: str
    layer_prefix: str
    matrices: MappingProxyType[MatrixName, str]
    attention_norm: str
    ffn_norm: str
    # Dense and output layer of the sequence-classification head; BERT's dense layer is its pooler.
    head_layers: tuple[str, str]
    sizes: SizeFields = SizeFields()

    def matrix_tensor(self, prefix: str, layer: int, name: MatrixName) -> str:
        """The module name of a prunable matrix, without ``.weight``/``.bias``."""
        return f"{prefix}{self.layer_prefix.format(layer=layer)}.{self.matrices[name]}"

    def norm_tensors(self, prefix: str, layer: int) -> tuple[str, str]:
        """The module names of the LayerNorms after attention and after the FFN."""
        stem = f"{prefix}{self.layer_prefix.format(layer=layer)}"
        return f"{stem}.{self.attention_norm}", f"{stem}.{self.ffn_norm}"


_BERT_MATRICES: MappingProxyType[MatrixName, str] = MappingProxyType(
    {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "attention_output": "attention.output.dense",
        "ffn_in": "intermediate.dense",
        "ffn_out": "output.dense",
    }
)


_CLASSIFIER = ("classifier.dense", "classifier.out_proj")


def _bert_like(model_type: str, root: str, head_layers: tuple[str, str] = _CLASSIFIER) -> Architecture:
    return Architecture(
        model_type=model_type,
        root=root,
        layer_prefix="encoder.layer.{layer}",
        matrices=_BERT_MATRICES,
        attention_norm="attention.output.LayerNorm",
        ffn_norm="output.LayerNorm",
        head_layers=head_layers,
    )


_DISTILBERT = Architecture(
    model_type="distilbert",
    root="distilbert",
    layer_prefix="transformer.layer.{layer}",
    matrices=MappingProxyType(
        {
            "query": "attention.q_lin",
            "key": "attention.k_lin",
            "value": "attention.v_lin",
            "attention_output": "attention.out_lin",
            "ffn_in": "ffn.lin1",
            "ffn_out": "ffn.lin2",
        }
    ),
    attention_norm="sa_layer_norm",
    ffn_norm="output_layer_norm",
    head_layers=("pre_classifier", "classifier"),
    sizes=SizeFields(
        layers="n_layers", hidden="dim", heads="n_heads", ffn="hidden_dim", activation="activation", epsilon=None
    ),
)

ARCHITECTURES: MappingProxyType[str, Architecture] = MappingProxyType(
    {
        "bert": _bert_like("bert", "bert", ("bert.pooler.dense", "classifier")),
        "roberta": _bert_like("roberta", "roberta"),
        "xlm-roberta": _bert_like("xlm-roberta", "roberta"),
        "camembert": _bert_like("camembert", "roberta"),
        "electra": _bert_like("electra", "electra"),
        "distilbert": _DISTILBERT,
    }
)

# The names that transformers gives (ACT2FN) to what the accelerator has a table for.
ACTIVATION_NAMES: MappingProxyType[str, FfnActivation] = MappingProxyType(
    {
        "gelu": "gelu",
        "gelu_python": "gelu",
        "gelu_new": "gelu_tanh",
        "gelu_pytorch_tanh": "gelu_tanh",
        "gelu_fast": "gelu_tanh",
        "relu": "relu",
    }
)

# Encoders whose LayerNorm stands before each block: the accelerator's residual path cannot run them.
PRE_LAYER_NORM_TYPES = frozenset(
    {"megatron-bert", "roberta-prelayernorm", "xlm-roberta-xl", "modernbert", "nomic_bert", "esm", "data2vec-audio"}
)
