"""What goes into a model: a sentence or a pair, as text and as token numbers."""

from __future__ import annotations

from dataclasses import dataclass

Text = str | tuple[str, str]


@dataclass(frozen=True)
class TokenisedText:
    """Token numbers of one sentence or pair, each a list of the same length; ``types`` tell a pair's halves apart."""

    ids: list[int]
    types: list[int]

    def __len__(self) -> int:
        return len(self.ids)
