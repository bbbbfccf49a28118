"""One's own methods: found by name among installed packages, given as objects, refused with one line."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from aebert.cost_model.own import own_cost_model
from aebert.models import load_encoder
from aebert.pruning import prune_encoder
from aebert.pruning.step import prune
from aebert.pruning.subnet import read_subnet
from aebert.pruning.zero_patterns import OwnPattern, parse_pattern
from aebert.search.options import SearchOptions
from aebert.search.run.rounds import SearchSettings
from aebert.search.sampling.samplers import own_sampler
from aebert.search.scoring.prepared_weights import Recipe
from aebert.search.scoring.scorer import ScorerSettings
from aebert.search.space.search_space import Goal
from aebert.search.step import ScoringRows, SearchPlan, Workers, search
from aebert.support.errors import AebertError
from aebert.support.extensions import GROUPS, find_method, method_name, offered
from tests.support.command_line import aebert
from tests.support.own_methods import install_page_package
from tests.support.tiny_search import LinearCosts, tiny_texts


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """The page's package, installed; its module."""
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    (tmp_path / "installed").mkdir()
    install_page_package(tmp_path / "installed", monkeypatch)
    yield importlib.import_module("mine")
    sys.modules.pop("mine", None)


def install(folder: Path, name: str, group: str, entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    information = folder / name / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")
    monkeypatch.syspath_prepend(folder / name)
    importlib.invalidate_caches()


def test_the_pages_methods_are_offered_under_their_names(mine: object) -> None:
    assert {kind: offered(kind) for kind in GROUPS} == {
        "saliency": ("spread",),
        "sampler": ("nearby",),
        "pattern": ("checkers",),
        "objective": ("agreement",),
        "cost model": ("per-unit",),
    }
    for name, option in (("spread", "--saliency"), ("nearby", "--sampler"), ("agreement", "--objective")):
        assert name in aebert("search", "--help").stdout.partition(option)[2][:200]


def test_a_subnet_of_ones_own_saliency_and_pattern_says_so_and_is_read_again(
    mine: object, tiny_bert: Path, tmp_path: Path
) -> None:
    prune(tiny_bert, tmp_path / "named", ratio=0.5, saliency="spread", pattern="checkers")
    prune(tiny_bert, tmp_path / "given", ratio=0.5, saliency=mine.spread, pattern="checkers")
    named, given = read_subnet(tmp_path / "named"), read_subnet(tmp_path / "given")
    assert (named.record.saliency, named.record.pattern) == ("spread", "checkers")
    assert given.record.saliency == "mine.spread"
    assert named.encoder.digest == given.encoder.digest
    weight = named.encoder.layers[0].matrix("query").weight
    white = np.indices(weight.shape).sum(axis=0) % 2
    assert (weight != 0).sum() == weight.size // 2
    assert not weight[white == 1].any()


def test_masks_by_protocol_alone_are_those_of_the_name(mine: object, tiny_bert: Path) -> None:
    pattern = mine.Checkers()
    assert isinstance(pattern, OwnPattern)
    encoder = load_encoder(tiny_bert)
    by_object, by_name = (prune_encoder(encoder, each, 0.5) for each in (pattern, parse_pattern("checkers")))
    assert by_object.encoder.digest == by_name.encoder.digest


def test_a_search_takes_the_objects_themselves(mine: object, tiny_classifiers: dict[str, Path], tmp_path: Path) -> None:
    settings = SearchSettings(candidates=6, batch=3, job=3)
    plan = SearchPlan(
        Goal(0.5, 0.5),
        levels=4,
        sampler=mine.Nearby(),
        scorer=ScorerSettings(objective=mine.agreement, recipe=Recipe(mine.spread, compensate=False)),
        settings=settings,
        refine=False,
    )
    found = search(
        tiny_classifiers["bert"],
        tmp_path / "run",
        ScoringRows(tiny_texts()),
        plan,
        costs=LinearCosts(),
        workers=Workers(1, 1),
    )
    assert -1.0 <= found.best.value <= 1.0
    assert found.best.latency is not None
    assert found.best.latency.source == "predicted, a nanosecond for each unit"
    assert read_subnet(found.run.best).record.saliency == "mine.spread"


def test_a_search_takes_names(mine: object) -> None:
    plan = SearchOptions(ratio="0.5", sampler="nearby", saliency="spread", objective="agreement").plan()
    assert (plan.sampler, plan.scorer.objective, plan.scorer.recipe.saliency) == ("nearby", "agreement", "spread")
    assert type(own_sampler("nearby")).__name__ == "Nearby"


@pytest.mark.parametrize(("kind", "named"), [("sampler", "surrogate, random"), ("objective", "loss, metric")])
def test_an_unknown_name_is_refused_with_all_there_are(mine: object, kind: str, named: str) -> None:
    with pytest.raises(AebertError, match=f"{kind} 'luck' is not known; choose {named}.*, (nearby|agreement)"):
        SearchOptions(ratio="0.5", **{kind: "luck"}).plan()


def test_an_unknown_pattern_is_refused_with_those_that_are_offered(mine: object) -> None:
    with pytest.raises(AebertError, match=r"pattern 'chess' is not known; write one of: unstructured.*, checkers"):
        parse_pattern("chess")


def test_a_package_that_cannot_be_imported_is_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "broken", "aebert.saliencies", "odd = nothing_like_this:odd", monkeypatch)
    with pytest.raises(AebertError, match="nothing_like_this:odd cannot be loaded") as refused:
        find_method("saliency", "odd", ())
    assert "\n" not in str(refused.value)


def test_a_name_that_two_packages_offer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "one", "aebert.samplers", "same = one:Sampler", monkeypatch)
    install(tmp_path, "two", "aebert.samplers", "same = two:Sampler", monkeypatch)
    with pytest.raises(AebertError, match="several packages offer it"):
        own_sampler("same")


@pytest.mark.parametrize("scores", [np.ones((2, 2)), np.float64("nan")])
def test_scores_that_are_not_one_finite_number_per_weight_are_refused(
    tiny_bert: Path, tmp_path: Path, scores: object
) -> None:
    with pytest.raises(AebertError, match="give one finite score per weight"):
        prune(tiny_bert, tmp_path / "subnet", ratio=0.5, saliency=lambda weight, moments: scores * weight[:2, :2])
    assert not (tmp_path / "subnet").exists()


def test_what_is_offered_must_be_what_it_is_offered_as(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "wrong", "aebert.samplers", "pi = math:pi", monkeypatch)
    install(tmp_path, "other", "aebert.cost_models", "pi = math:pi", monkeypatch)
    with pytest.raises(AebertError, match="sampler 'pi': has no method propose"):
        own_sampler("pi")
    with pytest.raises(AebertError, match="cost model 'pi': is no function"):
        own_cost_model("pi", None, None, ())


def test_records_name_objects_by_where_they_are_defined() -> None:
    assert method_name("activation") == "activation"
    assert method_name(LinearCosts()) == "tests.support.tiny_search.LinearCosts"
    assert method_name(tiny_texts) == "tests.support.tiny_search.tiny_texts"
