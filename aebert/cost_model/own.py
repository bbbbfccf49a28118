"""A cost model of one's own, in the place of the closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from aebert.cost_model.protocols import CostModel
from aebert.design.design import Design
from aebert.models.encoder import EncoderShape
from aebert.support.errors import AebertError
from aebert.support.extensions import find_method

# (design, shape of the encoder, tokens of each sequence of a launch) -> the model of that design.
MakeCostModel = Callable[[Design, EncoderShape, Sequence[int]], CostModel]


def own_cost_model(name: str, design: Design, shape: EncoderShape, lengths: Sequence[int]) -> CostModel:
    """What the package that offers ``name`` makes for ``design``. Raises AebertError where none does."""
    make = find_method("cost model", name, ())
    if not callable(make):
        raise AebertError(f"cost model {name!r}: is no function of design, shape and lengths; see docs/own_methods.md")
    return cast(MakeCostModel, make)(design, shape, lengths)
