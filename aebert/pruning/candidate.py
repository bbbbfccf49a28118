"""A candidate: how many units of every site are kept. It becomes a subnet when it is applied to a model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from aebert.models.encoder import MATRIX_NAMES, EncoderShape
from aebert.pruning.unit_counts import MatrixKey, Site, list_sites, prunable_weights
from aebert.pruning.zero_patterns import parse_pattern
from aebert.support.checked_files import FileTable, parse_json
from aebert.support.errors import AebertError


class _Stored(FileTable):
    pattern: str
    kept: tuple[Annotated[int, Field(ge=0)], ...]


@dataclass(frozen=True)
class Candidate:
    """How many units each site keeps, in the order of ``list_sites``; ``pattern`` as spelt by ``str(pattern)``."""

    pattern: str
    kept: tuple[int, ...]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over pattern and counts."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        return json.dumps({"pattern": self.pattern, "kept": self.kept}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Candidate:
        """Raises AebertError for anything that ``to_json`` would not write."""
        source = f"candidate {text[:60]!r}"
        stored = parse_json(_Stored, text, source, "start a new search")
        return cls(str(parse_pattern(stored.pattern)), stored.kept)

    def sites(self, shape: EncoderShape) -> list[Site]:
        """Raises AebertError where the counts do not fit an encoder of ``shape``."""
        sites = list_sites(shape, parse_pattern(self.pattern))
        if len(sites) != len(self.kept) or any(
            not 0 <= kept <= site.units for kept, site in zip(self.kept, sites, strict=True)
        ):
            raise AebertError(
                f"candidate {self.digest[:12]}: its counts are not those of an encoder with {shape.layers} layers, "
                f"hidden {shape.hidden}, FFN {shape.ffn}; give the model that it was searched for"
            )
        return sites

    def ratios(self, shape: EncoderShape) -> dict[MatrixKey, float]:
        """The ratio of every matrix, for ``prune_encoder``; 0 where the pattern leaves a matrix dense."""
        ratios = {(layer, name): 0.0 for layer in range(shape.layers) for name in MATRIX_NAMES}
        for site, kept in zip(self.sites(shape), self.kept, strict=True):
            ratios |= {(site.layer, name): (site.units - kept) / site.units for name in site.matrices}
        return ratios

    def overall_ratio(self, shape: EncoderShape) -> float:
        """Zeroed weights / all prunable weights."""
        zeroed = sum(
            (site.units - kept) * site.unit_weights for site, kept in zip(self.sites(shape), self.kept, strict=True)
        )
        return zeroed / prunable_weights(shape)
