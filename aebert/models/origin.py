"""What a model directory calls its origin."""

from __future__ import annotations

from pathlib import Path

from aebert.models.model_type import read_config


def model_origin(directory: Path) -> str:
    """As config.json names it (``_name_or_path``), otherwise its architecture."""
    config = read_config(directory)
    origin = config.get("_name_or_path")
    if isinstance(origin, str) and origin:
        return origin
    kinds = config.get("architectures")
    return str(kinds[0]) if isinstance(kinds, list) and kinds else "not named in its config.json"
