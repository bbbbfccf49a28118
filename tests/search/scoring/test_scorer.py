"""Scores of candidates: those of the plain loop, whatever is shared, reopened or chunked on the way."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from aebert.models import load_encoder
from aebert.models.encoder import Encoder
from aebert.models.fp32_forward import encoder_forward
from aebert.models.host_model import HostModel, load_host_model
from aebert.pruning import parse_pattern, prune_encoder
from aebert.pruning.candidate import Candidate
from aebert.pruning.compensation import compensate_kept
from aebert.pruning.gradual import GradualRemoval
from aebert.pruning.input_moments import iterate_moments
from aebert.search.scoring.prepared_weights import Recipe, expand_values, kept_values
from aebert.search.scoring.scorer import Scorer, ScorerSettings, ScorerSpec, prepare_scorer
from aebert.search.space.grid import Grid, make_grid
from aebert.support.errors import AebertError
from aebert.tasks.task import Task, own_task

WORDS = ["a", "the", "cat", "dog", "sat", "ran", "on", "to", "mat"]
CLASSES = own_task("three", "classification", ("x", "y", "z"))
ROWS = 60


@pytest.fixture(scope="module")
def host(tiny_classifiers: dict[str, Path]) -> HostModel:
    return load_host_model(tiny_classifiers["bert"])


@pytest.fixture(scope="module")
def encoder(host: HostModel) -> Encoder:
    return load_encoder(host.directory)


def random_texts(seed: int, rows: int = ROWS) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(1, 12))) for _ in range(rows)]


TEXTS = random_texts(0)
LABELS = np.random.default_rng(1).integers(0, 3, ROWS).tolist()


def prepare(
    host: HostModel,
    encoder: Encoder,
    directory: Path,
    pattern: str = "vector:4x1",
    labels: Sequence[int] | None = tuple(LABELS),
    settings: ScorerSettings | None = None,
) -> Scorer:
    grid = make_grid(encoder.shape, parse_pattern(pattern), levels=4)
    task = None if labels is None else CLASSES
    settings = settings or ScorerSettings(precision="fp32", chunk_tokens=200)
    return prepare_scorer(host, encoder, TEXTS, labels, task, grid, directory, settings)


def random_candidates(grid: Grid, count: int, seed: int) -> list[Candidate]:
    """On the grid but for one site each; many share their first sites."""
    random = np.random.default_rng(seed)
    levels = random.integers(0, grid.levels, (count, grid.genes))
    levels[1::2, : grid.genes // 2] = levels[0, : grid.genes // 2]
    kept = grid.kept(levels)
    for row in kept:
        site = random.integers(len(row))
        row[site] = random.integers(0, grid.sites[site].units + 1)
    return grid.candidates(kept)


def plain_scores(
    host: HostModel, encoder: Encoder, candidate: Candidate, recipe: Recipe, labels: Sequence[int]
) -> tuple[float, float, float, float]:
    """Loss, accuracy, KL and cosine as the textbook has them: prune a copy, then one sequence after another."""
    pattern = parse_pattern(candidate.pattern)
    tokenised = host.tokenise(TEXTS)
    moments = iterate_moments(encoder, host.embed_texts(tokenised)) if recipe.needs_moments else None
    ratios = candidate.ratios(encoder.shape)
    pruned = prune_encoder(encoder, pattern, ratios, recipe.criterion(pattern), moments, recipe.compensate).encoder
    rows = []
    for text, label in zip(tokenised, labels, strict=True):
        logits, pooled = [], []
        for model in (encoder, pruned):
            states = encoder_forward(model, host.embed_texts([text])).values[None]
            logits.append(host.logits(states)[0])
            pooled.append(states[0].mean(dim=0))
        dense, own = (values.log_softmax(dim=0) for values in logits)
        kl = float((dense.exp() * (dense - own)).sum())
        cosine = float(functional.cosine_similarity(pooled[0], pooled[1], dim=0))
        rows.append((float(-own[label]), float(own.argmax() == label), kl, cosine))
    loss, accuracy, kl, cosine = np.mean(rows, axis=0).tolist()
    return loss, accuracy, kl, cosine


@pytest.mark.parametrize(
    ("pattern", "recipe"),
    [
        ("unstructured", Recipe("magnitude", compensate=False)),
        ("vector:4x1", Recipe("activation", compensate=True, gradual=False)),
        ("block:8x8", Recipe("second-order", compensate=True, gradual=False)),
        ("head+neuron", Recipe("activation", compensate=True)),
    ],
)
def test_scores_are_those_of_pruning_a_copy_and_running_it(
    host: HostModel, encoder: Encoder, tmp_path: Path, pattern: str, recipe: Recipe
) -> None:
    scorer = prepare(
        host, encoder, tmp_path, pattern, settings=ScorerSettings("cosine", recipe, "fp32", chunk_tokens=200)
    )
    candidates = random_candidates(scorer.grid, 6, seed=3)
    for candidate, score in zip(candidates, scorer.score(candidates), strict=True):
        loss, accuracy, kl, cosine = plain_scores(host, encoder, candidate, recipe, LABELS)
        assert score.loss == pytest.approx(loss, abs=1e-5)
        assert score.metric == pytest.approx(accuracy, abs=1e-9)
        assert score.kl == pytest.approx(kl, abs=1e-5)
        assert score.cosine == pytest.approx(cosine, abs=1e-5)
        assert score.value == score.cosine
        assert score.rows == ROWS


@pytest.fixture(scope="module")
def scorer(host: HostModel, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    return prepare(host, encoder, tmp_path_factory.mktemp("prepared"))


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**31), st.integers(1, 8))
def test_sharing_prefixes_changes_no_score(scorer: Scorer, seed: int, count: int) -> None:
    candidates = random_candidates(scorer.grid, count, seed)
    candidates += candidates[:2]
    together = scorer.score(candidates)
    alone = [scorer.score([candidate])[0] for candidate in candidates]
    for left, right in zip(together, alone, strict=True):
        assert left.value == pytest.approx(right.value, abs=1e-6)
        assert left.kl == pytest.approx(right.kl, abs=1e-6)


def test_the_order_of_rows_and_the_size_of_chunks_change_no_score(
    host: HostModel, encoder: Encoder, scorer: Scorer, tmp_path: Path
) -> None:
    other = prepare(host, encoder, tmp_path, settings=ScorerSettings(precision="fp32", chunk_tokens=10_000, seed=7))
    candidates = random_candidates(scorer.grid, 3, seed=5)
    for left, right in zip(scorer.score(candidates), other.score(candidates), strict=True):
        assert left.loss == pytest.approx(right.loss, abs=1e-5)
        assert left.kl == pytest.approx(right.kl, abs=1e-5)


def test_the_dense_candidate_has_the_dense_score(scorer: Scorer) -> None:
    dense = scorer.grid.candidates(scorer.grid.units[None])
    (score,) = scorer.score(dense)
    assert score.kl == pytest.approx(0.0, abs=1e-6)
    assert score.loss == pytest.approx(scorer.dense_score.loss, abs=1e-5)


def test_the_applied_encoder_is_the_one_that_prune_gives(host: HostModel, encoder: Encoder, tmp_path: Path) -> None:
    scorer = prepare(host, encoder, tmp_path, settings=ScorerSettings(recipe=Recipe(gradual=False)))
    (candidate,) = random_candidates(scorer.grid, 1, seed=11)
    moments = iterate_moments(encoder, host.embed_texts(host.tokenise(TEXTS)))
    ratios = candidate.ratios(encoder.shape)
    pruned = prune_encoder(encoder, scorer.grid.pattern, ratios, "activation", moments, compensate=True).encoder
    for (_, _, own), (_, _, plain) in zip(scorer.apply(candidate).matrices(), pruned.matrices(), strict=True):
        np.testing.assert_array_equal(own.weight != 0, plain.weight != 0)
        np.testing.assert_allclose(own.weight, plain.weight, atol=1e-6)
        np.testing.assert_allclose(own.bias, plain.bias, atol=1e-6)


@pytest.mark.parametrize("pattern", ["vector:4x1", "unstructured"])
def test_levels_are_those_of_gradual_removal_and_counts_between_them_follow_from_the_lighter_one(
    host: HostModel, encoder: Encoder, tmp_path: Path, pattern: str
) -> None:
    scorer = prepare(host, encoder, tmp_path, pattern)
    grid, parsed = scorer.grid, parse_pattern(pattern)
    (moments, *_) = iterate_moments(encoder, host.embed_texts(host.tokenise(TEXTS)))
    site, name = grid.sites[4], "ffn_in"
    counts = [int(count) for count in grid.counts[4][1:]]
    dense = encoder.layers[0].matrix(name)
    removal = GradualRemoval(dense, site, encoder.shape, parsed, "activation", moments.of(name))
    kept = grid.units.copy()
    made = {}
    for level in removal.levels(counts):
        kept[4] = level.kept
        (candidate,) = grid.candidates(kept[None])
        made[level.kept] = scorer.apply(candidate).layers[0].matrix(name).weight
        np.testing.assert_array_equal(made[level.kept] != 0, level.mask)
        np.testing.assert_allclose(made[level.kept], level.linear.weight, rtol=1e-3, atol=1e-6)
    kept[4] = counts[1] - 3
    (between,) = grid.candidates(kept[None])
    found = scorer.apply(between).layers[0].matrix(name).weight
    mask = np.repeat(removal.rank < kept[4], parsed.unit_shape[0], axis=0)
    expected = compensate_kept(dense, mask, moments.of(name), start=made[counts[1]])
    np.testing.assert_array_equal(found != 0, mask)
    np.testing.assert_allclose(found, expected.weight, rtol=1e-3, atol=1e-5)
    # Another process finds it on disk.
    (file,) = scorer.spec.weights.glob("between-*")
    written = file.stat().st_mtime_ns
    assert scorer.spec.open().score([between]) == scorer.score([between])
    assert file.stat().st_mtime_ns == written


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-7e4, 7e4, width=32), min_size=24, max_size=24), st.integers(0, 2**24 - 1))
def test_stored_values_come_back_and_none_becomes_zero(values: list[float], chosen: int) -> None:
    weight = np.array(values, np.float32).reshape(4, 6)
    mask = np.array([chosen >> bit & 1 for bit in range(24)], bool).reshape(4, 6)
    back = expand_values(kept_values(weight, mask, half=True), mask).numpy()
    np.testing.assert_array_equal(back != 0, mask & (weight != 0))
    np.testing.assert_allclose(back, np.where(mask, weight, 0), rtol=2**-10, atol=2**-24)
    exact = expand_values(kept_values(weight, mask, half=False), mask).numpy()
    np.testing.assert_array_equal(exact, np.where(mask, weight, 0))


def test_another_process_opens_the_same_scorer(scorer: Scorer) -> None:
    spec: ScorerSpec = pickle.loads(pickle.dumps(scorer.spec))  # noqa: S301 (what multiprocessing does with it)
    candidates = random_candidates(scorer.grid, 2, seed=2)
    assert spec.open().score(candidates) == scorer.score(candidates)


def test_a_killed_preparation_goes_on_with_the_layers_that_are_whole(
    host: HostModel, encoder: Encoder, tmp_path: Path
) -> None:
    first = prepare(host, encoder, tmp_path)
    layers = sorted(first.spec.weights.iterdir())
    kept_time = layers[0].stat().st_mtime_ns
    # The second layer was being written: its temporary name is left over, and nothing under its own name.
    layers[1].rename(layers[1].with_name(f".{layers[1].name}.tmp"))
    second = prepare(host, encoder, tmp_path)
    assert layers[0].stat().st_mtime_ns == kept_time
    candidates = random_candidates(first.grid, 2, seed=4)
    assert second.score(candidates) == first.score(candidates)


def test_a_damaged_part_is_made_again(host: HostModel, encoder: Encoder, tmp_path: Path) -> None:
    first = prepare(host, encoder, tmp_path)
    candidates = random_candidates(first.grid, 2, seed=4)
    scores = first.score(candidates)
    path = sorted(first.spec.weights.iterdir())[1]
    content = bytearray(path.read_bytes())
    content[-500] ^= 0x40
    path.write_bytes(content)
    assert prepare(host, encoder, tmp_path).score(candidates) == scores


def test_opening_what_was_prepared_for_another_model_is_refused(
    tiny_classifiers: dict[str, Path], scorer: Scorer
) -> None:
    other = replace(scorer.spec, model=tiny_classifiers["roberta"])
    with pytest.raises(AebertError, match="made from another model"):
        other.open()


def test_unlabelled_text_is_scored_by_fidelity(
    tiny_bert: Path, host: HostModel, encoder: Encoder, tmp_path: Path
) -> None:
    headed = prepare(host, encoder, tmp_path / "headed", labels=None)
    candidates = random_candidates(headed.grid, 2, seed=1)
    (score, _) = headed.score(candidates)
    assert headed.objective == "kl"
    assert score.loss is None
    assert score.kl is not None
    assert score.value == -score.kl

    bare_host, bare = load_host_model(tiny_bert), load_encoder(tiny_bert)
    (score, _) = prepare(bare_host, bare, tmp_path / "bare", labels=None).score(candidates)
    assert score.value == score.cosine
    assert score.kl is None


def test_regression_is_scored_by_squared_error_and_correlation(
    tmp_path: Path, tiny_classifiers: dict[str, Path]
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source = tiny_classifiers["distilbert"]
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=1, ignore_mismatched_sizes=True)
    model.save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(source).save_pretrained(tmp_path / "model")
    host, encoder = load_host_model(tmp_path / "model"), load_encoder(tmp_path / "model")
    task: Task = own_task("closeness", "regression", ())
    labels = np.random.default_rng(0).uniform(0, 5, ROWS).tolist()
    grid = make_grid(encoder.shape, parse_pattern("unstructured"), levels=4)
    scorer = prepare_scorer(
        host, encoder, TEXTS, labels, task, grid, tmp_path / "prepared", ScorerSettings(precision="fp32")
    )
    (candidate,) = random_candidates(grid, 1, seed=0)
    (score,) = scorer.score([candidate])
    pruned = scorer.apply(candidate)
    outputs = []
    for model_encoder in (encoder, pruned):
        alone = [encoder_forward(model_encoder, host.embed_texts([text])) for text in host.tokenise(TEXTS)]
        outputs.append(torch.cat([host.logits(states.values[None]) for states in alone])[:, 0].numpy())
    assert score.loss == pytest.approx(float(np.mean((outputs[1] - labels) ** 2)), rel=1e-4)
    assert score.kl == pytest.approx(float(np.mean((outputs[1] - outputs[0]) ** 2) / 2), rel=1e-3)
    assert -1 <= (score.metric or 0) <= 1


def test_bf16_gives_nearly_the_same_scores(host: HostModel, encoder: Encoder, scorer: Scorer) -> None:
    spec = replace(scorer.spec, settings=replace(scorer.spec.settings, precision="bf16"))
    candidates = random_candidates(scorer.grid, 4, seed=8)
    pairs = list(zip(spec.open(host, encoder).score(candidates), scorer.score(candidates), strict=True))
    assert all(left.value == pytest.approx(right.value, abs=0.02) for left, right in pairs)
    assert any(left.value != right.value for left, right in pairs)


def test_what_does_not_fit_is_refused_in_one_line(
    host: HostModel, encoder: Encoder, scorer: Scorer, tmp_path: Path
) -> None:
    (candidate,) = random_candidates(scorer.grid, 1, seed=0)
    for wrong, message in (
        (replace(candidate, pattern="unstructured"), "prepared for 'vector:4x1'"),
        (replace(candidate, kept=candidate.kept[:-1]), "counts are not those"),
    ):
        with pytest.raises(AebertError, match=message):
            scorer.score([wrong])
    with pytest.raises(AebertError, match="needs labels"):
        prepare(host, encoder, tmp_path, labels=None, settings=ScorerSettings("loss"))
    with pytest.raises(AebertError, match="one for each"):
        prepare(host, encoder, tmp_path, labels=LABELS[:-1])
    with pytest.raises(AebertError, match="mean over rows"):
        prepare(host, encoder, tmp_path, settings=ScorerSettings("metric", chunk_tokens=200)).race([candidate])
