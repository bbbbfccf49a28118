"""Exported encoders are recognised by the structure of their graph, whatever the exporter called its nodes."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from transformers import AutoModel

from aebert.cli.main import main
from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from aebert.onnx_exchange.export_model import export_float
from aebert.onnx_exchange.huggingface import read_model
from aebert.onnx_exchange.import_model import import_model
from aebert.onnx_exchange.recognise import load_onnx_encoder, recognise
from aebert.support.errors import AebertError
from tests.support.paths import DATA

OPTIMUM = DATA / "optimum"
OPTIMUM_DIGESTS = {
    "bert": "e83d21cfb33999f1e413551ad0b4dd2669ca78a33b85aaa65747d40236a22845",
    "roberta": "72d19c12a841a39ac93fefc8aa69a527562aa61ff5906ebde6111984df5329b2",
    "distilbert": "ebdfc75e50c52c98cee2bc97e42c642c0ffc113aa0293401f399c8eafcbb3658",
    "electra": "4b989c87ebc4c41ef3fda37c51f207a0b97a2594001c3ad31929ba8c621354cc",
}


class LastHiddenState(torch.nn.Module):
    """A model, or an encoder by itself, as a function of tensors: what the TorchScript exporter takes."""

    def __init__(self, model: torch.nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model(**dict(zip(self.names, inputs, strict=True)))[0]
        return states


def _torchscript(directory: Path, path: Path, attention: str, folding: bool, opset: int) -> Path:
    model = AutoModel.from_pretrained(directory, attn_implementation=attention)
    ids = torch.randint(5, 14, (2, 7))
    wrapped = LastHiddenState(model, ("input_ids", "attention_mask")).eval()
    axes = {name: {0: "b", 1: "s"} for name in ("a", "b")}
    return _export(wrapped, path, (ids, torch.ones_like(ids)), ["a", "b"], axes, folding, opset)


def _export(
    module: torch.nn.Module,
    path: Path,
    inputs: tuple[torch.Tensor, ...],
    names: list[str],
    axes: dict[str, dict[int, str]],
    folding: bool = True,
    opset: int = 17,
) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            inputs,
            path,
            dynamo=False,
            input_names=names,
            dynamic_axes=axes,
            do_constant_folding=folding,
            opset_version=opset,
        )
    return path


@pytest.mark.parametrize(
    ("family", "attention", "folding", "opset"),
    [
        ("bert", "eager", True, 17),
        ("bert", "sdpa", False, 14),
        ("roberta", "sdpa", True, 17),
        ("roberta", "eager", False, 14),
        ("distilbert", "eager", True, 11),
        ("electra", "sdpa", False, 14),
    ],
)
def test_torchscript_exports_give_the_weights_bit_for_bit(
    tiny_models: dict[str, Path], tmp_path: Path, family: str, attention: str, folding: bool, opset: int
) -> None:
    path = _torchscript(tiny_models[family], tmp_path / "m.onnx", attention, folding, opset)
    assert load_onnx_encoder(path).digest == load_encoder(tiny_models[family]).digest


def test_a_dynamo_export_gives_the_weights_bit_for_bit(tiny_models: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="torch.onnx needs onnxscript for its newer exporter")
    model = AutoModel.from_pretrained(tiny_models["roberta"]).eval()
    ids = torch.randint(5, 14, (2, 7))
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (),
            tmp_path / "m.onnx",
            kwargs=inputs,
            dynamo=True,
            verbose=False,
            dynamic_shapes=dict.fromkeys(inputs, free),
        )
    found = recognise(tmp_path / "m.onnx")
    assert found.model.encoder.digest == load_encoder(tiny_models["roberta"]).digest
    assert found.model.pooler is not None


@pytest.mark.parametrize("family", sorted(OPTIMUM_DIGESTS))
def test_optimum_exports_are_read_with_their_heads(family: str) -> None:
    found = recognise(OPTIMUM / f"{family}.onnx")
    assert found.model.family == family
    assert found.model.encoder.digest == OPTIMUM_DIGESTS[family]
    assert found.model.head is not None
    assert found.model.head.output.bias.shape == (3,)
    assert found.left_out == ()


@pytest.mark.parametrize("separate", [False, True], ids=["Attention", "MultiHeadAttention"])
def test_graphs_that_onnxruntime_has_fused_are_read(tmp_path: Path, separate: bool) -> None:
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import FusionOptions

    options = FusionOptions("bert")
    options.use_multi_head_attention = separate
    fused = optimizer.optimize_model(
        str(OPTIMUM / "bert.onnx"), "bert", 2, 16, optimization_options=options, opt_level=0
    )
    fused.save_model_to_file(str(tmp_path / "fused.onnx"))
    operators = {node.op_type for node in fused.model.graph.node}
    assert {"MultiHeadAttention" if separate else "Attention", "SkipLayerNormalization", "BiasGelu"} <= operators
    assert load_onnx_encoder(tmp_path / "fused.onnx").digest == OPTIMUM_DIGESTS["bert"]


def _in_half(path: Path, to: Path, kind: int) -> Path:
    """The graph as converters to half precision write it: weights, constants, conversions and types."""
    model = onnx.load(path)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)

    def narrow(tensor: onnx.TensorProto) -> None:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            with np.errstate(over="ignore"):  # the mask's lowest value
                array = numpy_helper.to_array(tensor).astype(dtype)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    for tensor in model.graph.initializer:
        narrow(tensor)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                narrow(attribute.t)
            if node.op_type == "Cast" and attribute.i == onnx.TensorProto.FLOAT:
                attribute.i = kind
    for value in (*model.graph.input, *model.graph.output):
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = kind
    del model.graph.value_info[:]
    onnx.save(model, to)
    return to


@pytest.mark.parametrize("kind", [onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16], ids=["fp16", "bf16"])
def test_graphs_in_half_precision_are_read(tmp_path: Path, kind: int) -> None:
    """The root of two in a written-out GELU is rounded too; there are no kernels for bf16 on a CPU."""
    found = recognise(_in_half(OPTIMUM / "bert.onnx", tmp_path / "m.onnx", kind)).model.encoder
    whole = recognise(OPTIMUM / "bert.onnx").model.encoder
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    weight = whole.layers[1].ffn_in.weight
    np.testing.assert_array_equal(found.layers[1].ffn_in.weight, weight.astype(dtype).astype(np.float32))


def test_names_do_not_matter(tmp_path: Path) -> None:
    model = onnx.load(OPTIMUM / "roberta.onnx")
    names: dict[str, str] = {"": ""}

    def plain(name: str) -> str:
        return names.setdefault(name, f"v{len(names)}")

    for number, node in enumerate(model.graph.node):
        node.name = f"n{number}"
        node.input[:] = [plain(name) for name in node.input]
        node.output[:] = [plain(name) for name in node.output]
    for value in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        value.name = plain(value.name)
    del model.graph.value_info[:]
    onnx.save(model, tmp_path / "m.onnx")
    assert load_onnx_encoder(tmp_path / "m.onnx").digest == OPTIMUM_DIGESTS["roberta"]


def test_an_encoder_without_embeddings_takes_them_from_a_base_model(tiny_bert: Path, tmp_path: Path) -> None:
    module = AutoModel.from_pretrained(tiny_bert).encoder
    wrapped = LastHiddenState(module, ("hidden_states",)).eval()
    path = _export(wrapped, tmp_path / "m.onnx", (torch.randn(2, 7, 32),), ["h"], {"h": {0: "b", 1: "s"}})
    with pytest.raises(AebertError, match=r"without embeddings; give .* --base"):
        import_model(path, tmp_path / "model")
    import_model(path, tmp_path / "model", base=tiny_bert)
    assert load_encoder(tmp_path / "model").digest == load_encoder(tiny_bert).digest
    load_host_model(tmp_path / "model")


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_an_imported_directory_computes_what_the_graph_computes(tmp_path: Path, family: str, tiny_bert: Path) -> None:
    directory = tmp_path / "model"
    import_model(OPTIMUM / f"{family}.onnx", directory, tokenizer=tiny_bert)
    host = load_host_model(directory)
    session = onnxruntime.InferenceSession(OPTIMUM / f"{family}.onnx", providers=["CPUExecutionProvider"])
    ids = np.random.default_rng(1).integers(5, 14, (2, 8))
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    if family in ("bert", "electra"):
        feeds["token_type_ids"] = np.random.default_rng(2).integers(0, 2, ids.shape)
    with torch.inference_mode():
        got = host.module(**{name: torch.from_numpy(array) for name, array in feeds.items()}).logits.numpy()
    np.testing.assert_allclose(got, session.run(["logits"], feeds)[0], atol=1e-4)


def _changed(tmp_path: Path, change: str) -> Path:
    """The BERT export with one thing that no BERT does."""
    model = onnx.load(OPTIMUM / "bert.onnx")
    nodes = {node.name: node for node in model.graph.node}
    find = {kind: next(node for node in model.graph.node if node.op_type == kind) for kind in ("Erf", "Softmax")}
    if change == "activation":
        find["Erf"].op_type = "Tanh"
    elif change == "operator":
        find["Softmax"].op_type = "Hardmax"
    elif change == "softmax":
        find["Softmax"].op_type = "Relu"
        del find["Softmax"].attribute[:]
    elif change == "skipped residual":
        add = next(node for name, node in nodes.items() if name.endswith("layer.1/output/Add"))
        add.input[1] = add.input[0]
    elif change == "half precision":
        tensor = max(model.graph.initializer, key=lambda each: len(each.raw_data))
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    elif change == "not a number":
        tensor = next(each for each in model.graph.initializer if len(each.dims) == 2 and each.dims[0] == 24)
        tensor.CopyFrom(numpy_helper.from_array(np.full(tuple(tensor.dims), np.nan, np.float32), tensor.name))
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("activation", r"intermediate_act_fn/Erf' \(Tanh\): expected exact GELU"),
        ("operator", r"Softmax' \(Hardmax\): expected an operator"),
        ("softmax", r"Softmax' \(Relu\): expected softmax"),
        ("skipped residual", r"expected an FFN"),
        ("half precision", r"onnxruntime cannot run it"),
        ("not a number", r"expected finite values"),
    ],
)
def test_the_first_node_that_does_not_fit_is_named(tmp_path: Path, change: str, expected: str) -> None:
    with pytest.raises(AebertError, match=expected) as refused:
        recognise(_changed(tmp_path, change))
    assert "\n" not in str(refused.value)


def test_a_graph_that_only_looks_like_an_encoder_is_refused(tmp_path: Path) -> None:
    model = onnx.load(OPTIMUM / "bert.onnx")
    # A mask that lets every token see only the others' padding: nothing in the layers is different.
    where = [node for node in model.graph.node if node.op_type == "Where"][-1]
    where.input[1], where.input[2] = where.input[2], where.input[1]
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(AebertError, match="its outputs differ"):
        recognise(tmp_path / "m.onnx")


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(range(256)) * 40, "half"])
def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path, content: bytes | str) -> None:
    whole = (OPTIMUM / "bert.onnx").read_bytes()
    (tmp_path / "m.onnx").write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(AebertError, match=r"m\.onnx: .*(not an ONNX model|damaged|cannot be read)") as refused:
        recognise(tmp_path / "m.onnx")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("../secret.data", "outside the model's folder"),
        ("/etc/passwd", "outside the model's folder"),
        ("link.data", "a link out of the model's folder"),
        ("missing.data", "is missing"),
        ("short.data", "truncated"),
    ],
)
def test_external_data_stays_in_the_models_folder(tmp_path: Path, location: str, expected: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.data").write_bytes(bytes(100_000))
    (folder / "link.data").symlink_to(tmp_path / "secret.data")
    (folder / "short.data").write_bytes(bytes(10))
    model = onnx.load(OPTIMUM / "bert.onnx")
    tensor = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(size))):
        tensor.external_data.add(key=key, value=value)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(AebertError, match=expected):
        recognise(folder / "m.onnx")


def test_a_model_in_training_mode_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    model = export_float(read_model(tiny_bert))
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    position = list(model.graph.node).index(softmax)
    reader = next(node for node in model.graph.node if softmax.output[0] in node.input)
    ratio, training = (numpy_helper.from_array(np.array(v, t), n) for v, t, n in ((0.1, "f4", "r"), (True, "?", "t")))
    model.graph.initializer.extend([ratio, training])
    dropout = onnx.helper.make_node("Dropout", [softmax.output[0], "r", "t"], ["dropped"], name="dropout")
    reader.input[:] = ["dropped" if name == softmax.output[0] else name for name in reader.input]
    nodes = copy.deepcopy(list(model.graph.node))
    nodes.insert(position + 1, dropout)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(AebertError, match=r"'dropout' \(Dropout\): expected a model in inference mode"):
        recognise(tmp_path / "m.onnx")


def test_the_commands_import_prune_and_export(tiny_bert: Path, tmp_path: Path) -> None:
    model, subnet, exported = tmp_path / "model", tmp_path / "subnet", tmp_path / "out.onnx"
    for arguments in (
        ("import", str(OPTIMUM / "bert.onnx"), "-o", str(model), "--tokenizer", str(tiny_bert)),
        (
            "prune",
            str(model),
            "-o",
            str(subnet),
            "--ratio",
            "0.5",
            "--pattern",
            "unstructured",
            "--saliency",
            "magnitude",
        ),
        ("export", str(subnet), "-o", str(exported)),
    ):
        assert main(list(arguments)) == 0
    encoder = load_onnx_encoder(exported)
    zeros = sum(int((linear.weight == 0).sum()) for _, _, linear in encoder.matrices())
    assert zeros == sum(linear.weight.size for _, _, linear in encoder.matrices()) // 2
    assert load_encoder(subnet).digest == encoder.digest


def test_a_refused_import_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    assert main(["import", str(tmp_path / "m.onnx"), "-o", str(tmp_path / "model")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "model").exists()
