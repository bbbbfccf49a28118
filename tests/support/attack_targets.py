"""What attacks on the command line attack: good inputs of every format, and the commands that open them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from aebert.cost_model.fit_records import fit_records
from aebert.cost_model.fitted_model import write_model
from aebert.design.design_file import DesignFile, write_design_file
from aebert.tasks import find_task
from tests.conftest import save_tiny_model
from tests.support import report_samples
from tests.support.command_line import aebert
from tests.support.fitted_runs import emulated_runs, stored
from tests.support.glue_files import random_rows, write_tsv
from tests.support.paths import DATA, ROOT
from tests.support.projects import CALIBRATION, TINY_DESIGN, write_tiny_project
from tests.support.sentence_folders import save_sentence_folder
from tests.support.tiny_run import write_tiny_run


@dataclass(frozen=True)
class Target:
    """``file`` is made wrong, below the workspace; the words of ``command`` are called there, and write to ``out``."""

    file: str
    command: tuple[str, ...]


_EVALUATE = ("evaluate", "model", "--task", "mnli", "--data", "glue", "--rows", "2")
_OWN = ("--task", "own", "--data", "own", "--text-columns", "text", "--label-column", "label")


def attack_targets(folder: Path) -> Iterator[Target]:
    """What can be made wrong in a folder of ``write_inputs``, each with the commands that open it."""

    def below(name: str, keep: Callable[[Path], bool] = lambda path: True) -> list[str]:
        root = folder / name
        return sorted(str(path.relative_to(folder)) for path in root.rglob("*") if path.is_file() and keep(path))

    out = ("-o", "out/made")
    for file in below("model"):
        yield Target(file, ("prune", "model", "--ratio", "0.5", "--saliency", "magnitude", *out))
        yield Target(file, _EVALUATE)
        yield Target(file, ("export", "model", "-o", "out/model.onnx"))
    for folder_name in ("sentence", "pickled"):
        for file in below(folder_name):
            yield Target(file, ("prune", folder_name, "--ratio", "0.5", "--saliency", "magnitude", *out))
            yield Target(file, ("export", folder_name, "-o", "out/model.onnx"))
    for file in below("subnet"):
        yield Target(file, ("estimate", "subnet", "--board", "u200"))
        yield Target(file, ("generate", "subnet", "--board", "u200", *out))
    for file in below("project", lambda path: path.parent.name not in ("kernel", "emulation")):
        yield Target(file, ("run", "project", "--text", "the cat sat", "--text", "a dog ran " * 30))
        yield Target(file, ("emulate", "project"))
        yield Target(file, ("verify", "project"))
        yield Target(file, ("report", "project", "-o", "out/report.html"))
    for file in below("project/kernel"):
        yield Target(file, ("lint", "project"))
        yield Target(file, ("build", "project"))
    for file in below("run", lambda path: "prepared" not in path.parts):
        yield Target(file, ("report", "run", "-o", "out/report.html"))
    yield Target("board.toml", ("estimate", "subnet", "--board", "board.toml"))
    yield Target("design.toml", ("estimate", "subnet", "--board", "u200", "--config", "design.toml"))
    yield Target("fitted.json", ("estimate", "subnet", "--board", "u200", "--model", "fitted.json"))
    yield Target("options.toml", ("--config-file", "options.toml", "config", "prune"))
    yield Target("ratios.json", ("prune", "model", "--per-matrix", "ratios.json", "--saliency", "magnitude", *out))
    yield Target("text.txt", ("prune", "model", "--ratio", "0.5", "--text", "text.txt", *out))
    yield Target("text.txt", ("run", "project", "--file", "text.txt"))
    yield Target("text.txt", ("verify", "project", "--text", "text.txt"))
    yield Target("model.onnx", ("import", "model.onnx", *out))
    yield Target("model.onnx", ("import", "model.onnx", "--tokenizer", "model", *out))
    yield Target("runs.sqlite", ("runs", "list", "--database", "runs.sqlite"))
    yield Target("runs.jsonl", ("runs", "import", "runs.jsonl", "--database", "out/new.sqlite"))
    yield Target("glue/MNLI/dev_matched.tsv", _EVALUATE)
    for name in ("dev.csv", "train.jsonl"):
        yield Target(f"own/{name}", ("evaluate", "model", *_OWN, "--rows", "2"))
        yield Target(f"own/{name}", ("generate", "model", "--board", "u200", *_OWN, *out))
    for file in below("reports"):
        yield Target(file, ("runs", "import", file, "--design", "d", "--database", "out/new.sqlite"))


def write_inputs(folder: Path) -> None:
    """One good file or folder of every format, below ``folder``."""
    save_tiny_model("bert", True, folder / "model")
    done = aebert("prune", folder / "model", "--ratio", "0.5", "--saliency", "magnitude", "-o", folder / "subnet")
    assert done.exit_code == 0, done.stderr
    write_tiny_project(folder / "model", folder / "project")
    write_tiny_run(folder / "model", folder / "run")
    encoder = save_tiny_model("bert", False, folder / "encoder")
    save_sentence_folder(encoder, folder / "sentence", ["cls"], torch.nn.Tanh())
    _write_pickled(encoder, folder / "pickled")
    _write_rows(folder)
    shutil.copyfile(ROOT / "boards" / "u200.toml", folder / "board.toml")
    write_model(folder / "fitted.json", fit_records(stored(emulated_runs((1.1, 1.3))), "u200").model)
    shutil.copyfile(DATA / "optimum" / "bert.onnx", folder / "model.onnx")
    (folder / "text.txt").write_text("\n".join(CALIBRATION * 20))
    (folder / "options.toml").write_text('verbose = true\n[prune]\nratio = 0.5\npattern = "vector:2x1"\n')
    names = ("query", "key", "value", "attention_output", "ffn_in", "ffn_out")
    ratios = ", ".join(f'"{name}": 0.5' for name in names)
    (folder / "ratios.json").write_text(f"[{{{ratios}}}, {{{ratios}}}]")
    design = DesignFile("u200", 250.0, 1, TINY_DESIGN)
    write_design_file(folder / "design.toml", design, comment="small")
    (folder / "csynth.xml").write_text(report_samples.CSYNTH_XML_2024)
    (folder / "reports").mkdir()
    for name, (_, text) in report_samples.SAMPLES.items():
        (folder / "reports" / name).write_text(text)
    database = folder / "runs.sqlite"
    for words in (
        ("runs", "import", folder / "reports", "--database", database),
        ("runs", "export", "--database", database, "-o", folder / "runs.jsonl"),
        ("emulate", folder / "project"),
    ):
        done = aebert(*words)
        assert done.exit_code in (0, 1), done.stderr


def _write_pickled(model: Path, folder: Path) -> None:
    shutil.copytree(model, folder)
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()


def _write_rows(folder: Path) -> None:
    labels = find_task("mnli").labels
    examples = enumerate(random_rows(24, 2, pairs=True))
    pairs = [(row.text[0], row.text[1], labels[number % 3]) for number, row in examples]
    write_tsv(folder / "glue" / "MNLI" / "dev_matched.tsv", ("sentence1", "sentence2", "gold_label"), *pairs)
    (folder / "own").mkdir()
    (folder / "own" / "dev.csv").write_text("text,label\nthe cat sat,0\na dog ran,1\nthe mat,2\n")
    rows = [{"text": row.text, "label": number % 3} for number, row in enumerate(random_rows(40, 3))]
    (folder / "own" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
