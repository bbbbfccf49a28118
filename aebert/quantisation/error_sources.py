"""Which quantiser is to blame for how much, kept with the quantised encoder: the scales it takes are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from aebert.support.checked_files import FileTable, read_json

if TYPE_CHECKING:
    from aebert.quantisation.error_report import LayerBlame

FILE_NAME = "error_sources.json"
# Four decimals: the last bits of fp32 sums depend on the number of threads.
_DECIMALS = 4


class _StoredLayer(FileTable):
    layer: int
    together: float
    alone: dict[str, float]


def error_sources_json(blames: tuple[LayerBlame, ...]) -> str:
    """One object per layer: relative error of all quantisers together, and of each alone."""
    layers = [
        {
            "layer": blame.layer,
            "together": round(blame.together, _DECIMALS),
            "alone": {source: round(error, _DECIMALS) for source, error in blame.alone},
        }
        for blame in blames
    ]
    return json.dumps(layers, indent=1) + "\n"


def read_error_sources(path: Path) -> tuple[dict[str, float], ...]:
    """Per layer, the relative error that each quantiser causes alone, and ``together``."""
    layers = read_json(list[_StoredLayer], path, "generate the project again")
    return tuple({"together": layer.together, **layer.alone} for layer in layers)
