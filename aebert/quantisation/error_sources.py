"""Which quantiser is to blame for how much, kept with the quantised encoder: the scales it takes are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from aebert.errors import AebertError

if TYPE_CHECKING:
    from aebert.quantisation.error_report import LayerBlame

FILE_NAME = "error_sources.json"
# Four decimals: the last bits of fp32 sums depend on the number of threads.
_DECIMALS = 4


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
    try:
        layers = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            {"together": float(layer["together"]), **{name: float(error) for name, error in layer["alone"].items()}}
            for layer in layers
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AebertError(f"{path}: missing or damaged ({error}); generate the project again") from None
