"""Each rung of the ladder fails when what it checks is wrong, alone and with the figure that says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import host.verify.ladder
from aebert.models import load_encoder
from aebert.models.encoder import MATRIX_NAMES, Encoder
from aebert.models.host_model import load_host_model
from aebert.numerics.quantised import QuantisedLayer
from aebert.pruning.step import prune
from aebert.pruning.unit_counts import ATTENTION_MATRICES
from aebert.support.errors import AebertError
from codegen.project import Project, load_project
from host.devices.open import open_accelerator
from host.verify.compare import SequenceComparison
from host.verify.ladder import Rung, Verification, long_sequence, verify_project, with_tasks
from host.verify.task import SequenceCheck, TaskCheck
from tests.support.projects import CALIBRATION, write_tiny_project

TEXTS = [*CALIBRATION, "the mat", "a cat and the dog sat on a mat the cat ran to the dog on the mat a dog ran"]


@pytest.fixture(scope="module")
def project(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Project:
    return load_project(write_tiny_project(tiny_models["bert"], tmp_path_factory.mktemp("rungs") / "project"))


def _verify(project: Project) -> Verification:
    with open_accelerator(project, "emulator") as accelerator:
        return verify_project(project, accelerator, TEXTS, lengths=[9])


def _failed(verification: Verification) -> list[Rung]:
    assert verification.passed == all(rung.passed for rung in verification.rungs)
    return [rung for rung in verification.rungs if not rung.passed]


def test_files_that_changed_fail_the_first_rung_and_are_counted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _failed(_verify(project)) == []
    monkeypatch.setattr(Project, "changed_files", lambda self: ["kernel/engine.cpp", "memory/weights.bin"])
    (rung,) = _failed(_verify(project))
    total = len(project.manifest.files)
    assert (rung.name, rung.summary) == ("files", f"2 of {total} changed: kernel/engine.cpp")


def test_a_subnet_without_some_heads_is_verified_and_says_so(tiny_bert: Path, tmp_path: Path) -> None:
    """All heads of the second layer, one of the first: PyTorch computes them, the project has no passes for them."""
    ratios = {
        (layer, name): (0.25, 1.0)[layer] if name in ATTENTION_MATRICES else 0.0
        for layer in range(2)
        for name in MATRIX_NAMES
    }
    prune(tiny_bert, tmp_path / "subnet", ratio=ratios, pattern="head")
    found = _verify(load_project(write_tiny_project(tmp_path / "subnet", tmp_path / "project")))
    assert _failed(found) == []
    (comparison,) = found.comparisons
    assert comparison.passes == 1 + 2 * 3 + 3 + 2 * 3
    assert found.rungs[-1].summary == (
        f"{comparison.values} values of {comparison.passes} passes equal; 5 of 8 heads are removed and have no passes"
    )


def test_an_encoder_that_is_not_transformers_fails_the_second(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misread(directory: Path) -> Encoder:
        encoder = load_encoder(directory)
        last = encoder.layers[-1]
        bias = last.ffn_norm.beta + np.float32(0.02)
        return replace(
            encoder, layers=(*encoder.layers[:-1], replace(last, ffn_norm=replace(last.ffn_norm, beta=bias)))
        )

    monkeypatch.setattr(host.verify.ladder, "load_encoder", misread)
    (rung,) = _failed(_verify(project))
    assert rung.name == "L0 transformers = typed encoder"
    assert rung.summary.startswith("largest difference 2.0e-02 over ")
    assert rung.summary.endswith("(at most 0.001)")


@pytest.mark.parametrize(("first", "figures"), [(1, 1), (0, 2)])
def test_scales_that_misread_the_integers_fail_the_third(project: Project, first: int, figures: int) -> None:
    """From layer ``first`` on; the first figure that is out of its limit is named."""

    def misread(number: int, layer: QuantisedLayer) -> QuantisedLayer:
        norm = layer.ffn_norm
        return replace(layer, ffn_norm=replace(norm, scale=norm.scale * 1.5)) if number >= first else layer

    layers = tuple(misread(number, layer) for number, layer in enumerate(project.quantised.layers))
    (rung,) = _failed(_verify(replace(project, quantised=replace(project.quantised, layers=layers))))
    assert rung.name == "L0 ~ L1 integer reference"
    assert rung.summary.startswith(f"layer {first} relative error is 0.5")
    assert f"the limit 0.2 ({figures} figures out of limits)" in rung.summary


def test_a_device_with_other_weights_fails_the_fourth(project: Project) -> None:
    other = replace(project.image, weights=np.roll(project.image.weights, 1))
    (rung,) = _failed(_verify(replace(project, image=other)))
    assert rung.name == "L1 = emulator, 9 tokens"
    assert rung.summary.startswith("layer 0, pass query, token 0, channel ")


def test_what_holds_is_told_with_its_figures(project: Project) -> None:
    with open_accelerator(project, "emulator") as accelerator:
        told: list[tuple[str, int, int]] = []
        found = verify_project(
            project, accelerator, TEXTS, progress=lambda step, done, total: told.append((step, done, total))
        )
    assert [rung.name for rung in found.rungs] == [
        "files",
        "L0 transformers = typed encoder",
        "L0 ~ L1 integer reference",
        "L1 = emulator, 32 tokens",
        "L1 = emulator, 17 tokens",
        "L1 = emulator, 1 token",
    ]
    assert (found.project, found.device) == ("project", "emulator")
    assert found.rungs[0].summary == f"{len(project.manifest.files)} files as generated"
    lowest = min(layer.cosine for layer in found.error.layers)
    largest = max(layer.relative_error for layer in found.error.layers)
    assert f"lowest cosine {lowest:.5f}, largest relative error {largest:.4f}" in found.rungs[2].summary
    values = found.comparisons[2].values
    by_length = [
        f"{each.shortest}: " if each.shortest == each.longest else f"{each.shortest}-{each.longest}: "
        for each in found.error.by_length
    ]
    assert all(tokens in found.rungs[2].summary for tokens in by_length)
    assert found.rungs[5].summary == f"{values} values of {found.comparisons[2].passes} passes equal"
    assert told == [
        ("fp32 against integers", 0, 1),
        ("fp32 against integers", 1, 1),
        *(("integers against device", done, 3) for done in range(4)),
    ]


@pytest.fixture
def holding() -> Verification:
    comparison = SequenceComparison(9, 3, 10, 0.1, None)
    return Verification("p", "emulator", (Rung("files", True, ""),), (comparison,), error=None)  # type: ignore[arg-type]


def _task(device: float = 0.80, fp32: float = 0.80, rows: int = 400, **change: object) -> TaskCheck:
    sequences = tuple(SequenceCheck(row, 5 + row % 7, None, None) for row in range(rows))
    check = TaskCheck(
        "pynq:0", "mrpc", "dev", sequences, "f1", {"f1": device, "acc": 0.0}, {"f1": fp32, "acc": 1.0}, None
    )
    return replace(check, **change)


def test_a_task_whose_bits_and_metric_hold_adds_two_rungs(holding: Verification) -> None:
    found = with_tasks(holding, [_task()])
    assert found.passed
    assert [(rung.name, rung.summary) for rung in found.rungs[1:]] == [
        ("mrpc dev: L1 = pynq:0", "400 sequences of 5 to 11 tokens equal"),
        ("mrpc dev: f1", "0.8000 on pynq:0, 0.8000 in PyTorch: 0.00 points lost (at most 1)"),
    ]
    assert found.tasks == (_task(),)


def test_sequences_with_other_bits_fail_the_tasks_first_rung_which_names_the_first(holding: Verification) -> None:
    sequences = list(_task().sequences)
    sequences[7] = replace(sequences[7], difference="token 2, channel 3: 4, expected 5")
    sequences[9] = replace(sequences[9], difference="token 0, channel 1: 2, expected 3")
    (rung,) = _failed(with_tasks(holding, [_task(sequences=tuple(sequences))]))
    assert rung == Rung(
        "mrpc dev: L1 = pynq:0",
        False,
        "2 of 400 sequences differ; row 7 (5 tokens), token 2, channel 3: 4, expected 5",
    )


def test_a_metric_that_loses_just_what_is_allowed_holds(holding: Verification) -> None:
    assert with_tasks(holding, [_task(device=0.25, fp32=0.5, rows=4)]).passed


@pytest.mark.parametrize(
    ("rows", "device", "passes"),
    [(400, 0.7901, True), (400, 0.7899, False), (400, 0.95, True), (50, 0.7801, True), (50, 0.7799, False)],
)
def test_a_metric_may_lose_a_point_or_what_one_row_weighs(
    holding: Verification, rows: int, device: float, passes: bool
) -> None:
    found = with_tasks(holding, [_task(device=device, rows=rows)])
    assert [rung.name for rung in _failed(found)] == ([] if passes else ["mrpc dev: f1"])
    assert f"{100 * (0.8 - device):.2f} points lost" in found.rungs[-1].summary


def test_too_little_text_for_a_long_sequence_is_refused(project: Project) -> None:
    model = load_host_model(project.model_directory)
    assert long_sequence(model, [("the cat", "a dog"), "sat on"], 8).shape == (8, 32)
    with pytest.raises(AebertError, match="verification text: 5 tokens in all, 12 are needed; give more text"):
        long_sequence(model, ["the cat sat"], 12)
