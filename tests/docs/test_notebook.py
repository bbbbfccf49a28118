"""The notebook in examples/ runs from top to bottom, here on a tiny model, and is stored with those of MiniLM-L6."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.paths import ROOT

NOTEBOOK = ROOT / "examples" / "first_project.ipynb"


def test_the_notebook_runs_from_top_to_bottom(
    tiny_models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("AEBERT_MODEL", str(tiny_models["bert"]))
    monkeypatch.setenv("AEBERT_BOARD", "pynq-z2")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert printed.count("ok  ") >= 4
    assert "FAIL" not in printed
    assert list(tmp_path.glob("aebert_notebook_*/project/manifest.json"))


def test_the_notebook_is_stored_with_the_outputs_of_a_whole_run() -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert all(output.output_type != "error" and output.get("name") != "stderr" for output in outputs)
    # The first cell only imports.
    assert all(cell.outputs for cell in code[1:])
    text = NOTEBOOK.read_text(encoding="utf-8")
    for place in ("/tmp", "/home", "/root", "/work"):
        assert f'"{place}/' not in text
        assert f" {place}/" not in text
    assert len(text) < 200_000
    assert text.count("ok   L1 = emulator") >= 2
    assert "(emulated)" in text
