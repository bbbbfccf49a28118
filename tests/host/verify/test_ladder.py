"""`verify` holds for a project as generated, and names what was tampered with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from aebert.cli.main import main
from aebert.support.errors import AebertError
from codegen.project import load_project
from host.devices.open import open_accelerator
from host.verify.ladder import Verification, verify_project
from tests.support.projects import CALIBRATION, write_tiny_project

TEXTS = [*CALIBRATION, "the mat", "a cat and the dog sat on a mat the cat ran to the dog on the mat a dog ran"]


@pytest.fixture(scope="module")
def tiny_project(tiny_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_project(tiny_models["bert"], tmp_path_factory.mktemp("verify") / "project")


@pytest.fixture
def project(tiny_project: Path, tmp_path: Path) -> Path:
    """A copy that a test may change; the compiled emulator comes along."""
    return Path(shutil.copytree(tiny_project, tmp_path / "project"))


def _verify(project: Path, *, trust_changes: bool = False) -> Verification:
    loaded = load_project(project, trust_changes=trust_changes)
    with open_accelerator(loaded, "emulator") as accelerator:
        return verify_project(loaded, accelerator, TEXTS)


def _rung(verification: Verification, start: str) -> tuple[bool, str]:
    (rung,) = [rung for rung in verification.rungs if rung.name.startswith(start)]
    return rung.passed, rung.summary


def test_a_fresh_project_holds_on_every_rung(tiny_project: Path) -> None:
    verification = _verify(tiny_project)
    assert [rung.name for rung in verification.rungs if not rung.passed] == []
    assert [comparison.length for comparison in verification.comparisons] == [32, 17, 1]


def test_the_files_on_disk_are_those_of_the_manifest(tiny_project: Path) -> None:
    assert load_project(tiny_project).changed_files() == []


def test_a_flipped_weight_is_found_in_the_file_and_in_the_bits(project: Path) -> None:
    path = project / "memory" / "weights.bin"
    weights = np.fromfile(path, np.int8)
    # The first tile belongs to layer 0's query and holds output channels 0 and 1.
    weights[0] = -weights[0] if weights[0] else 55
    weights.tofile(path)
    verification = _verify(project)
    assert _rung(verification, "files") == (False, _rung(verification, "files")[1])
    assert "memory/weights.bin" in _rung(verification, "files")[1]
    mismatch = verification.comparisons[0].mismatch
    assert mismatch is not None
    assert (mismatch.layer, mismatch.pass_name, mismatch.channel) == (0, "query", 0)


def test_a_wrong_scale_is_found(project: Path) -> None:
    path = project / "memory" / "parameters.bin"
    image = load_project(project).image
    # Layer 1, FFN-in, channel 3: 16 bytes each, the multiplier in bytes 8 and 9.
    word = image.parameter_words[1, "ffn_in", -1]
    content = bytearray(path.read_bytes())
    at = word * load_project(project).manifest.config.word_bytes + 3 * 16 + 9
    content[at] ^= 0x40
    path.write_bytes(content)
    mismatch = _verify(project).comparisons[0].mismatch
    assert mismatch is not None
    assert (mismatch.layer, mismatch.pass_name, mismatch.channel) == (1, "ffn_in", 3)


def test_a_wrong_table_entry_is_found(project: Path) -> None:
    path = project / "kernel" / "tables.h"
    text = path.read_text()
    assert "    255, 251," in text
    path.write_text(text.replace("    255, 251,", "    255, 250,"))
    verification = _verify(project, trust_changes=True)
    assert _rung(verification, "files")[1].endswith("trusted changes: kernel/tables.h")
    mismatch = verification.comparisons[0].mismatch
    assert mismatch is not None
    assert mismatch.pass_name == "scores"
    assert (mismatch.expected, mismatch.got) == (251, 250)


def test_another_model_in_the_project_is_refused(project: Path) -> None:
    path = project / "model" / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith("layer.1.output.dense.weight"))
    tensors[name][0, 0] += 0.5
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(AebertError, match="not the subnet that the project was generated from"):
        _verify(project)


def test_the_command_writes_json_and_junit_and_exits_with_zero(tiny_project: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(TEXTS))
    outputs = ["-o", str(tmp_path / "v.json"), "--junit", str(tmp_path / "v.xml")]
    assert main(["verify", str(tiny_project), "--text", str(text), *outputs]) == 0
    assert json.loads((tmp_path / "v.json").read_text())["passed"] is True
    suite = ElementTree.parse(tmp_path / "v.xml").getroot()
    assert (suite.get("failures"), int(suite.get("tests", "0"))) == ("0", len(suite))


def test_the_command_exits_with_one_and_names_the_place(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("\n".join(TEXTS))
    weights = np.fromfile(project / "memory" / "weights.bin", np.int8)
    weights[0] = -weights[0] if weights[0] else 55
    weights.tofile(project / "memory" / "weights.bin")
    junit = tmp_path / "v.xml"
    assert main(["verify", str(project), "--text", str(tmp_path / "text.txt"), "--junit", str(junit)]) == 1
    assert "layer 0, pass query, token" in capsys.readouterr().out
    assert int(ElementTree.parse(junit).getroot().get("failures", "0")) > 0


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path)]) == 2
    assert "manifest.json: not found; give a folder made by 'aebert generate'" in capsys.readouterr().err
