"""Rows to refine on: as much text as fits, not scored on where there are enough, and some left to judge by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aebert.models.encoder import EncoderShape
from aebert.models.text import TokenisedText
from aebert.search.run.refining_rows import affordable, held_out, refining_texts


@given(st.integers(0, 200), st.integers(0, 200))
def test_every_third_row_of_those_that_are_also_refined_on_is_held_out(only_scored: int, both: int) -> None:
    scored = [f"scored {n}" for n in range(only_scored)] + [f"both {n}" for n in range(both)]
    held = held_out(scored, [f"other {n}" for n in range(50)] + scored[only_scored:])
    assert held == (list(range(only_scored, only_scored + both, 3)) if both >= 96 else [])


@given(st.integers(0, 300), st.integers(0, 60), st.integers(1, 400))
def test_it_refines_on_text_that_is_not_scored_as_far_as_there_is_enough(others: int, scored: int, most: int) -> None:
    left, seen = [f"other {n}" for n in range(others)], [f"scored {n}" for n in range(scored)]
    chosen = refining_texts(left, seen, most)
    assert len(set(chosen)) == len(chosen) == min(most, others if others >= scored else others + scored)
    assert set(chosen) <= (set(left) if others >= scored else {*left, *seen})


def test_text_stops_where_its_inputs_would_take_more_than_a_gibibyte() -> None:
    base = EncoderShape(layers=12, hidden=768, heads=12, ffn=3072, epsilon=1e-12, max_positions=512)
    texts = [TokenisedText([1] * 100, [0] * 100)] * 2048
    bytes_each = 100 * 2 * 4 * (2 * 768 + 3072)  # dense and pruned, float32: two inputs of 768 and one of 3072
    chosen = affordable(texts, base)
    assert len(chosen) * bytes_each <= 2**30 < (len(chosen) + 1) * bytes_each
    assert len(affordable([TokenisedText([1] * 10**6, [0] * 10**6)], base)) == 1
