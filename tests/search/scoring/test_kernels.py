"""The CPU's own kernels compute what PyTorch does, whatever is zero, however tokens and threads are cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from aebert.models.packed_sequences import PackedStates
from aebert.search.scoring import cpu_kernels
from aebert.search.scoring.arithmetic import TorchArithmetic, find_device
from aebert.search.scoring.cpu_kernels import CpuKernels, find_kernels, kernel_problem
from aebert.search.scoring.prepared_weights import PreparedLinear, PreparedNorm
from aebert.search.scoring.scorer import Scorer, ScorerSettings, prepare_scorer
from aebert.search.scoring.tile_arithmetic import TileArithmetic
from aebert.support.errors import AebertError
from tests.support.tiny_search import tiny_space, tiny_texts

TORCH = TorchArithmetic(torch.device("cpu"), torch.float32)
SIZES = st.integers(1, 130)


@pytest.fixture(scope="module")
def tiles() -> TileArithmetic:
    kernels = find_kernels()
    assert kernels is not None, kernel_problem()
    return TileArithmetic(kernels)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def random_linear(random: np.random.Generator, outputs: int, inputs: int, unit: int, kept: float) -> PreparedLinear:
    """Columns of ``unit`` consecutive rows are kept or zeroed together, so that groups of 4, 2 and 1 are chosen."""
    weight = random.standard_normal((outputs, inputs)).astype(np.float32)
    mask = np.repeat(random.random((-(-outputs // unit), inputs)) < kept, unit, axis=0)[:outputs]
    bias = random.standard_normal(outputs).astype(np.float32)
    return PreparedLinear(torch.from_numpy(weight * mask), torch.from_numpy(bias))


def normal(random: np.random.Generator, *shape: int) -> torch.Tensor:
    return torch.from_numpy(random.standard_normal(shape).astype(np.float32))


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, st.sampled_from([1, 2, 4, 8]), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_linear_maps_are_those_of_double_precision(
    tiles: TileArithmetic, tokens: int, inputs: int, outputs: int, unit: int, kept: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    linear, states = random_linear(random, outputs, inputs, unit, kept), normal(random, tokens, inputs)
    residual = normal(random, tokens, outputs)
    norm = PreparedNorm(normal(random, outputs), normal(random, outputs), 1e-6)
    exact = states.double() @ linear.weight.double().T + linear.bias.double()
    mine = tiles.states(states)
    found = tiles.values(tiles.linear(mine, linear))
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5 * (1 + inputs**0.5))
    torch.testing.assert_close(
        tiles.values(tiles.linear_activated(mine, linear)), TORCH.linear_activated(states, linear), rtol=1e-4, atol=2e-5
    )
    if outputs > 8:  # with few features the variance may vanish, and with it all precision
        torch.testing.assert_close(
            tiles.values(tiles.linear_norm(mine, linear, tiles.states(residual), norm)),
            TORCH.linear_norm(states, linear, residual, norm),
            rtol=1e-3,
            atol=1e-3,
        )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 70), min_size=1, max_size=6),
    st.sampled_from([(1, 4), (2, 8), (3, 5), (12, 32)]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_attention_stays_within_its_sequence(
    tiles: TileArithmetic, lengths: list[int], heads: tuple[int, int], first_only: bool, seed: int
) -> None:
    random = np.random.default_rng(seed)
    lengths.sort()
    count, size = heads
    tokens, hidden = sum(lengths), count * size
    sequences = PackedStates(torch.empty(tokens, hidden), tuple(lengths))
    query = 3 * normal(random, len(lengths) if first_only else tokens, hidden)
    key, value = normal(random, tokens, hidden), normal(random, tokens, hidden)
    found = tiles.attention(tiles.states(query), tiles.states(key), tiles.states(value), sequences, count)
    torch.testing.assert_close(
        tiles.values(found), TORCH.attention(query, key, value, sequences, count), rtol=1e-4, atol=1e-5
    )


def test_states_are_kept_as_they_are_and_tokens_are_chosen(tiles: TileArithmetic) -> None:
    values = normal(np.random.default_rng(0), 250, 37)
    states, chosen = tiles.states(values), torch.tensor([0, 249, 96, 95, 3])
    assert torch.equal(tiles.values(states), values)
    assert torch.equal(tiles.values(tiles.tokens(states, chosen)), values[chosen])


def test_a_token_gets_the_same_whoever_is_beside_it_and_whoever_computes_it(
    tiles: TileArithmetic, two_threads: None
) -> None:
    random = np.random.default_rng(1)
    linear, values = random_linear(random, 96, 64, 4, 0.5), normal(random, 500, 64)
    shared = tiles.values(tiles.linear_activated(tiles.states(values), linear))
    torch.set_num_threads(1)
    assert torch.equal(tiles.values(tiles.linear_activated(tiles.states(values), linear)), shared)
    assert torch.equal(tiles.values(tiles.linear_activated(tiles.states(values[117:303]), linear)), shared[117:303])


def test_what_is_not_a_number_stays_with_its_token(tiles: TileArithmetic) -> None:
    random = np.random.default_rng(2)
    linear, values = random_linear(random, 24, 32, 1, 1.0), normal(random, 10, 32)
    values[4, 7] = torch.nan
    found = tiles.values(tiles.linear(tiles.states(values), linear))
    assert found[4].isnan().all()
    assert found[[0, 1, 2, 3, 5, 6, 7, 8, 9]].isfinite().all()
    # Buffers are used again, with what was in their padding.
    assert tiles.values(tiles.linear(tiles.states(values[:3]), linear)).isfinite().all()


def test_what_does_not_fit_together_never_reaches_the_kernels(tiles: TileArithmetic) -> None:
    random = np.random.default_rng(3)
    states, linear = tiles.states(normal(random, 5, 8)), random_linear(random, 6, 9, 1, 1.0)
    with pytest.raises(ValueError, match="do not fit together"):
        tiles.linear(states, linear)
    right = random_linear(random, 6, 8, 1, 1.0)
    with pytest.raises(ValueError, match="do not fit together"):
        tiles.linear(states, PreparedLinear(right.weight.double(), right.bias.double()))
    sequences = PackedStates(torch.empty(4, 8), (4,))
    with pytest.raises(ValueError, match="do not fit together"):
        tiles.attention(states, states, states, sequences, 2)


def tiny_scorer(model: Path, folder: Path, device: str | None = None) -> Scorer:
    (own,) = tiny_space(model).patterns.values()
    settings = ScorerSettings(precision="fp32", device=device)
    return prepare_scorer(
        load_host_model(model), load_encoder(model), tiny_texts(), None, None, own.grid, folder, settings
    )


def test_without_a_compiler_scores_are_the_same_up_to_rounding(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scorer = tiny_scorer(tiny_bert, tmp_path)
    candidates = [proposal.candidate for proposal in tiny_space(tiny_bert).uniform()]
    with_kernels = [score.value for score in scorer.score(candidates)]
    cpu_kernels._kernels.cache_clear()
    monkeypatch.setenv("CXX", "no-such-compiler")
    try:
        without = [score.value for score in scorer.score(candidates)]
        assert kernel_problem() == "CXX=no-such-compiler: not found on PATH; install it or unset CXX"
    finally:
        cpu_kernels._kernels.cache_clear()
    assert with_kernels == pytest.approx(without, abs=1e-6)
    assert "without its CPU kernels" in caplog.text


def test_a_device_that_is_named_goes_the_way_of_pytorch(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = [proposal.candidate for proposal in tiny_space(tiny_bert).uniform()]
    by_kernels = tiny_scorer(tiny_bert, tmp_path).score(candidates)
    scorer = tiny_scorer(tiny_bert, tmp_path, device="cpu")
    monkeypatch.setattr("aebert.search.scoring.scorer.find_kernels", lambda: None)
    by_torch = scorer.score(candidates)
    assert [score.value for score in by_torch] == pytest.approx([score.value for score in by_kernels], abs=1e-6)
    for name in ("cuda:0", "nonsense"):
        with pytest.raises(AebertError, match=f"device '{name}': PyTorch cannot use it") as refused:
            find_device(name)
        assert "\n" not in str(refused.value)


def test_a_damaged_library_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    with pytest.raises(AebertError, match="cannot be loaded"):
        cpu_kernels._load(broken)
    assert isinstance(find_kernels(), CpuKernels)
