"""The default kernel of every shipped board, with the fewest tokens, at the clock that ``generate`` chooses for it."""

from __future__ import annotations

from dataclasses import replace

from aebert.design.board import board_names, load_board
from benchmarks.board_schedules import default_design, scheduled, with_fewest_tokens

# Loops that are known to miss their II or their clock, by board.
KNOWN_MISSES: dict[str, set[str]] = {}


def test_every_loop_has_its_ii_at_the_clock_of_its_board() -> None:
    designs = [with_fewest_tokens(default_design(load_board(name))) for name in board_names()]
    too_fast = replace(designs[0], clock_mhz=4 * designs[0].clock_mhz)
    *boards, beyond = scheduled([*designs, too_fast])
    for found in boards:
        board = found.design.board.name
        assert len(found.loops) == 20, board
        assert set(found.misses) == KNOWN_MISSES.get(board, set()), board
    assert "engine.Steps" in beyond.misses
