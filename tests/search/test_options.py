"""One object holds the options of a search: those of the command line, with their defaults, and those of the API."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import pytest

from aebert.cli.search import command
from aebert.search.options import SearchOptions
from aebert.search.run.rounds import SearchSettings
from aebert.search.space.search_space import HIGHEST_FREE_RATIO, Goal
from aebert.search.step import DEFAULT_FRONT, SearchPlan
from aebert.support.errors import AebertError


def test_the_command_has_every_option_and_its_default() -> None:
    # Every command has the common ones too, once it was called in this process.
    options = {each.name: each for each in command.params if not str(each.name).startswith("common_")}
    names = {field.name for field in fields(SearchOptions)}
    assert set(options) - {"model", "directory"} - names <= {"help", "max_loss", "epochs"}
    assert names <= set(options)
    for field in fields(SearchOptions):
        if field.default is not None:
            assert options[field.name].default == field.default, field.name


def test_the_defaults_are_those_of_a_plan() -> None:
    assert SearchOptions(ratio="0.5").plan() == SearchPlan(Goal(0.5, 0.5))
    assert SearchOptions().front == DEFAULT_FRONT


def test_a_range_of_ratios_has_more_candidates_than_one_size() -> None:
    """A latency decides the size, as one ratio does; a number that was asked for is tried whatever the budget."""
    one, latency, both = SearchOptions(ratio="0.5"), SearchOptions(latency_ms=1.0), SearchOptions("0.3..0.7", 1.0)
    assert {each.plan().settings.candidates for each in (one, latency, both)} == {64}
    assert SearchOptions(ratio="0.3..0.7").plan().settings.candidates == 128
    assert SearchOptions(ratio="0.3..0.7", candidates=9).plan().settings.candidates == 9


def test_choices_reach_the_plan() -> None:
    options = SearchOptions(
        ratio="0.3..0.7", latency_ms=2.0, pattern="vector:2x1, unstructured", granularity="layer", candidates=9,
        sampler="tpe", objective="cosine", saliency="magnitude", compensate=False, precision="bf16", device="cuda:0",
        seed=3, batch=4, levels=8, race_error=0.0,
    )  # fmt: skip
    plan = options.plan()
    assert plan.goal == Goal(0.3, 0.7, 2.0)
    assert plan.patterns == ("vector:2x1", "unstructured")
    assert (plan.granularity, plan.levels, plan.sampler) == ("layer", 8, "tpe")
    assert (plan.scorer.objective, plan.scorer.precision, plan.scorer.device) == ("cosine", "bf16", "cuda:0")
    assert (plan.scorer.recipe.saliency, plan.scorer.recipe.compensate) == ("magnitude", False)
    assert plan.settings == SearchSettings(candidates=9, batch=4, error=0.0, seed=3)
    assert SearchOptions(latency_ms=1.0).goal() == Goal(0.0, HIGHEST_FREE_RATIO, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (SearchOptions(), "no budget; give --ratio, --latency-ms or both"),
        (SearchOptions(ratio="half"), "'half': not a number or a range"),
        (SearchOptions(ratio="0.5", sampler="best"), "sampler 'best' is not known; choose surrogate"),
        (SearchOptions(ratio="0.5", objective="luck"), "objective 'luck' is not known; choose loss"),
        (SearchOptions(ratio="0.5", saliency="luck"), "saliency 'luck' is not known"),
    ],
)
def test_a_choice_that_is_not_known_is_refused(options: SearchOptions, message: str) -> None:
    with pytest.raises(AebertError, match=message):
        options.plan()


def test_options_load_nothing_heavy() -> None:
    script = "import sys, aebert.search.options; assert not {'torch', 'numpy', 'optuna'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
