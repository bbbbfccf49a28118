"""Runs examples/first_project.ipynb on MiniLM-L6 and stores it with its outputs.

    python -m benchmarks.notebook_outputs

Kept is what a reader sees on a code host: text, and charts as Plotly's JSON without its program. What was told on the
way (standard error), times and paths of this machine are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import nbclient
import nbformat

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first_project.ipynb"
# Of a value's representations, those that need no program to show.
_KEPT = ("application/vnd.plotly.v1+json", "text/plain")
_PATH = re.compile(r"(/tmp|/home|/root|/work)/\S+")


def main() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        nbclient.NotebookClient(notebook, timeout=3600, resources=resources, record_timing=False).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [cleaned(output) for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    nbformat.write(notebook, NOTEBOOK)


def cleaned(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Without what only a running notebook can show, and without paths of this machine."""
    if "data" in output:
        output.data = {kind: output.data[kind] for kind in _KEPT if kind in output.data}
        # A figure's text is its whole content once more.
        if len(output.data) > 1:
            del output.data["text/plain"]
        if "text/plain" in output.data:
            output.data["text/plain"] = _PATH.sub("...", output.data["text/plain"])
    if "text" in output:
        output.text = _PATH.sub("...", output.text)
    return output


if __name__ == "__main__":
    main()
