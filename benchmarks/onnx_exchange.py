"""ONNX in and out on MiniLM-L6: how far what comes back, and what onnxruntime computes, is from the original.

    python -m benchmarks.onnx_exchange --data GLUE_FOLDER

Calibration: sentence1 of MRPC train rows 0-255; test: sentence2 of rows 1000-1255; at most 128 tokens.
"""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from transformers import AutoModel

from aebert.models.encoder import FloatArray
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import HostModel, load_host_model
from aebert.models.text import TokenisedText
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import from_residual, run_batch, to_residual
from aebert.onnx_exchange.export_model import export_float, export_int8
from aebert.onnx_exchange.huggingface import read_model
from aebert.onnx_exchange.recognise import recognise
from aebert.onnx_exchange.save import save_model
from aebert.quantisation.error_report import relative_error, row_cosines
from aebert.quantisation.quantise import quantise_with_scales
from benchmarks.glue import minilm_directory
from benchmarks.machine import machine_line
from benchmarks.quantisation import sentences

_MB = 1e6


@dataclass(frozen=True)
class States:
    """The last hidden states of each sentence, [tokens, hidden], in the order of the texts."""

    sentences: Sequence[FloatArray]

    def pooled(self) -> FloatArray:
        """Mean-pooled sentence embeddings."""
        return np.stack([states.mean(axis=0) for states in self.sentences])

    def joined(self) -> FloatArray:
        """All tokens."""
        return np.concatenate(self.sentences)


def print_import(model: Path, folder: Path) -> None:
    """Every way of torch.onnx to write the model: what was recognised, and how far it is."""
    click.echo("| exporter | attention | nodes | seconds to import | weights | largest difference |")
    click.echo("|---|---|---|---|---|---|")
    expected = read_model(model).encoder.digest
    for attention in ("eager", "sdpa"):
        module = AutoModel.from_pretrained(model, attn_implementation=attention).eval()
        for exporter, dynamo, folding in (
            ("torch.onnx, dynamo", True, True),
            ("torch.onnx, TorchScript", False, True),
            ("the same, no constant folding", False, False),
        ):
            path = folder / "exported.onnx"
            torch_export(module, path, dynamo, folding)
            start = time.perf_counter()
            found = recognise(path)
            seconds = time.perf_counter() - start
            same = "identical" if found.model.encoder.digest == expected else "differ"
            click.echo(
                f"| {exporter} | {attention} | {node_count(path)} | {seconds:.1f} | {same} | {found.error:.1e} |"
            )


class HiddenStates(torch.nn.Module):
    """A model as a function of tensors, which is all that the TorchScript exporter takes."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        states: torch.Tensor = self.model(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        return states


def torch_export(model: torch.nn.Module, path: Path, dynamo: bool, folding: bool) -> None:
    """Write ``model`` with dynamic batch and length."""
    ids = torch.randint(1000, 2000, (2, 9))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    wrapped = HiddenStates(model).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
            torch.onnx.export(
                wrapped, (), path, kwargs=inputs, dynamo=True, verbose=False, dynamic_shapes=dict.fromkeys(inputs, free)
            )
        else:
            axes = {name: {0: "batch", 1: "tokens"} for name in inputs}
            torch.onnx.export(
                wrapped,
                tuple(inputs.values()),
                path,
                dynamo=False,
                input_names=list(inputs),
                dynamic_axes=axes,
                do_constant_folding=folding,
                opset_version=17 if folding else 14,
            )


def node_count(path: Path) -> int:
    """Nodes of the graph in ``path``."""
    import onnx

    return len(onnx.load(path, load_external_data=False).graph.node)


def run_onnx(path: Path, texts: Sequence[TokenisedText], optimise: bool) -> tuple[States, float]:
    """Each sentence by itself in onnxruntime on one thread, and the milliseconds per sentence."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    start = time.process_time()
    found = [session.run(["last_hidden_state"], feeds(text))[0][0] for text in texts]
    return States(found), (time.process_time() - start) / len(texts) * 1000


def feeds(text: TokenisedText) -> Mapping[str, npt.NDArray[np.int64]]:
    """One sentence without padding."""
    ids = np.array([text.ids], np.int64)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.array([text.types], np.int64)}


def run_reference(host: HostModel, quantised: QuantisedEncoder, texts: Sequence[TokenisedText]) -> States:
    """The integer reference."""
    embedded = [host.embed(torch.tensor([text.ids]), torch.tensor([text.types]))[0].numpy() for text in texts]
    residuals = [to_residual(states, quantised.input_scale) for states in embedded]
    return States([from_residual(states, quantised.output_scale) for states in run_batch(quantised, residuals)])


def print_distance(name: str, got: States, expected: States, size: str, milliseconds: str) -> None:
    """One line of the second table."""
    tokens = row_cosines(got.joined(), expected.joined())
    pooled = row_cosines(got.pooled(), expected.pooled())
    click.echo(
        f"| {name} | {relative_error(got.joined(), expected.joined()):.2g} | {tokens.mean():.5f} | {tokens.min():.4f} "
        f"| {pooled.mean():.5f} | {pooled.min():.5f} | {size} | {milliseconds} |"
    )


@click.command()
@click.option(
    "--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True, help="GLUE folder"
)
def main(data: Path) -> None:
    """Print what importing and exporting costs."""
    torch.set_num_threads(1)
    directory = minilm_directory()
    host, model = load_host_model(directory), read_model(directory)
    table = data / "MRPC" / "train.tsv"
    calibration = host.embed_texts(host.tokenise(sentences(table, "sentence1", 0, 256)))
    texts = host.tokenise(sentences(table, "sentence2", 1000, 1256))
    quantised = quantise_with_scales(model.encoder, calibration)
    click.echo(f"{machine_line()}, onnxruntime {onnxruntime.__version__}, torch {torch.__version__}\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        print_import(directory, folder)
        single, integers = folder / "float.onnx", folder / "int8.onnx"
        save_model(export_float(model), single)
        save_model(export_int8(model, quantised), integers)
        click.echo(
            "\n| what, against what | relative error | token cosine, mean | lowest | sentence cosine, mean | lowest "
            "| MB | CPU ms a sentence |"
        )
        click.echo("|---|---|---|---|---|---|---|---|")
        reference = run_reference(host, quantised.encoder, texts)
        exact = States([encoder_forward(model.encoder, host.embed_texts([text])).values.numpy() for text in texts])
        in_float, milliseconds = run_onnx(single, texts, optimise=True)
        size = f"{single.stat().st_size / _MB:.1f}"
        print_distance("onnx, against PyTorch", in_float, exact, size, f"{milliseconds:.1f}")
        size = f"{integers.stat().st_size / _MB:.1f}"
        for optimise in (True, False):
            name = f"onnx-int8, {'fused kernels' if optimise else 'not optimised'}, against the integer reference"
            got, milliseconds = run_onnx(integers, texts, optimise)
            print_distance(name, got, reference, size, f"{milliseconds:.1f}")
        print_distance("onnx-int8, against PyTorch", got, exact, "", "")
        print_distance("the integer reference, against PyTorch", reference, exact, "", "")


if __name__ == "__main__":
    main()
