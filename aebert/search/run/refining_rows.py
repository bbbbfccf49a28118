"""Which texts finalists are refined on, and which of them are left to choose the winner by.

What is fitted to a text looks better on it than it is, and the more weights are spread evenly, the more: one ratio
everywhere had an eighth of its true divergence on the rows that it was refined on, and won there
(docs/search_evaluation.md). So where scored rows have to serve for refining too, a third of them is left out until a
winner is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

from aebert.models.encoder import EncoderShape
from aebert.models.text import Text, TokenisedText

DEFAULT_ROWS = 2048
# Of the layer inputs that refinement holds, dense and pruned: 1 GiB.
_MOST_BYTES = 2**30
# Of scored rows that are refined on too, every third is held out to choose by, if there are enough to tell by it.
_HELD_OUT_EACH = 3
_FEWEST_TO_HOLD_OUT = 96


def refining_texts(others: Sequence[Text], scored: Sequence[Text], most: int | None = None) -> list[Text]:
    """What to refine on: at most ``most`` [default: 2048] of the texts that candidates are not scored on, so that their
    scores after it are of unseen text; where those are fewer than the scored ones, the scored ones as well.

    Of more ``others``, those at even distances are taken.
    """
    limit = DEFAULT_ROWS if most is None else most
    pool = list(others) if len(others) >= len(scored) else [*others, *scored]
    if len(pool) <= limit:
        return pool
    return [pool[place * len(pool) // limit] for place in range(limit)]


def held_out(scored: Sequence[Text], refining: Sequence[Text]) -> list[int]:
    """Which of the ``scored`` rows to leave out of ``refining`` while a winner is chosen: every third of those that are
    in both; none where that leaves fewer than 32 to choose by."""
    fitted = set(refining)
    both = [row for row, text in enumerate(scored) if text in fitted]
    return both[::_HELD_OUT_EACH] if len(both) >= _FEWEST_TO_HOLD_OUT else []


def affordable(tokenised: Sequence[TokenisedText], shape: EncoderShape) -> list[TokenisedText]:
    """The first of the texts, as many as can be refined on in 1 GiB, and at least one."""
    each_token = 2 * 4 * (2 * shape.hidden + max(2 * shape.hidden, shape.ffn))
    most = _MOST_BYTES // each_token
    chosen: list[TokenisedText] = []
    tokens = 0
    for row in tokenised:
        tokens += len(row)
        if chosen and tokens > most:
            break
        chosen.append(row)
    return chosen
