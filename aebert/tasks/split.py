"""Calibration rows carved from the training rows, so that the search and fine-tuning never share one."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aebert.support.errors import AebertError
from aebert.tasks.task import Example

MOST_CALIBRATION_ROWS = 512
_SMALLEST_SHARE = 5


@dataclass(frozen=True)
class Split:
    """Two disjoint parts of the training rows, each in its original order."""

    fine_tuning: Sequence[Example]
    calibration: Sequence[Example]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the rows of both parts: two splits with one digest are the same split."""
        digest = hashlib.sha256()
        for part in (self.fine_tuning, self.calibration):
            digest.update(examples_digest(part).encode())
        return digest.hexdigest()


def examples_digest(examples: Sequence[Example]) -> str:
    """SHA-256 (hex) over texts and labels in order."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps([example.text, example.label], ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()


def default_calibration_rows(train_rows: int) -> int:
    """512 rows, or a fifth of a small training set."""
    return min(MOST_CALIBRATION_ROWS, train_rows // _SMALLEST_SHARE)


def split_train(train: Sequence[Example], calibration_rows: int | None = None, seed: int = 0) -> Split:
    """Draw ``calibration_rows`` of ``train`` (default: ``default_calibration_rows``), the same ones for the same seed.

    Rows of one text (a pair in either order; case and spacing aside) all fall on one side. Classes have the same shares
    on both sides, within one row. Where repeated texts leave no exact fit, a few rows fewer are drawn.
    """
    rows = default_calibration_rows(len(train)) if calibration_rows is None else calibration_rows
    if not 0 <= rows < len(train):
        raise AebertError(f"scoring rows: {rows} of {len(train)} training rows; leave at least one row to fine-tune on")
    groups = _same_text(train)
    quota = _quota(train, rows)
    drawn: set[int] = set()
    for number in np.random.default_rng(seed).permutation(len(groups)):
        group = groups[number]
        wanted = Counter(_stratum(train[row]) for row in group)
        if all(quota[stratum] >= count for stratum, count in wanted.items()):
            quota.subtract(wanted)
            drawn.update(group)
    return Split(
        [example for row, example in enumerate(train) if row not in drawn],
        [example for row, example in enumerate(train) if row in drawn],
    )


def text_key(example: Example) -> tuple[str, ...]:
    """What two rows with the same text have in common."""
    texts = example.text if isinstance(example.text, tuple) else (example.text,)
    return tuple(sorted(" ".join(text.casefold().split()) for text in texts))


def _same_text(train: Sequence[Example]) -> list[list[int]]:
    groups: dict[tuple[str, ...], list[int]] = {}
    for row, example in enumerate(train):
        groups.setdefault(text_key(example), []).append(row)
    return list(groups.values())


def _stratum(example: Example) -> int:
    """A class; all rows of a regression task are one stratum."""
    return example.label if isinstance(example.label, int) else 0


def _quota(train: Sequence[Example], rows: int) -> Counter[int]:
    """``rows`` shared out over the strata by their sizes, largest remainders first."""
    sizes = Counter(_stratum(example) for example in train)
    quota = Counter({stratum: rows * size // len(train) for stratum, size in sizes.items()})
    by_remainder = sorted(sizes, key=lambda stratum: (-(rows * sizes[stratum] % len(train)), stratum))
    quota.update(by_remainder[: rows - quota.total()])
    return quota
