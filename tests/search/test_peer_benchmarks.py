"""The benchmarks of the search beside its peers, end to end on a tiny model: what they fill, print and leave out."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from aebert.search.run.summary import read_summary
from benchmarks import head_correction, peers, search_candidates, search_proxies
from benchmarks.glue_cells import CellStore
from benchmarks.processor_time import processor_seconds
from tests.support.budget_run import search_here, write_dense
from tests.support.glue_files import write_tiny_task

QUICK = ["wanda", "sparsegpt", "alps", "kwon", "kprune", "ziplm", "ours-compensate", "ours-refine"]


@pytest.fixture(scope="module")
def folders(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """DATA with SST-2 about cats, and OUT with its dense model."""
    data, out = (tmp_path_factory.mktemp(name) for name in ("data", "out"))
    write_tiny_task(data, train_rows=160, dev_rows=40)
    write_dense(tiny_bert, out / "dense" / "sst2")
    return data, out


def _arguments(folders: tuple[Path, Path], **others: object) -> argparse.Namespace:
    data, out = folders
    return argparse.Namespace(data=data, out=out, tasks=["sst2"], rows=48, threads=1, **others)


def test_every_method_fills_the_cells_of_the_patterns_that_it_can_prune(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _arguments(
        folders, patterns=["vector:4x1", "head+neuron"], ratios=[0.5], methods=QUICK, seeds=1, candidates=4
    )
    store = CellStore(folders[1] / "cells.jsonl")
    peers.run(arguments, store)
    filled = {(key.pattern, key.method) for key in store.read()}
    single, structured = {"wanda", "sparsegpt", "alps"}, {"kwon", "kprune", "ziplm"}
    both = {"ours-compensate", "ours-refine"}
    assert filled == {("vector:4x1", method) for method in single | both} | {
        ("head+neuron", method) for method in structured | both
    }
    capsys.readouterr()
    peers.run(arguments, store)  # all are filled
    assert not capsys.readouterr().out
    peers.table(arguments, store)
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("| sst2 |") for line in lines) == 2


def test_a_search_leaves_what_its_candidates_brought(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = _arguments(
        folders, patterns=["head+neuron"], ratios=[0.5], methods=["ours-search"], seeds=1, candidates=6
    )
    with search_here():
        peers.run(arguments, CellStore(folders[1] / "cells.jsonl"))
    summary = read_summary(folders[1] / "searches" / "sst2-head+neuron-0.5-0")
    scores = [each.score for each in summary.tried]
    assert search_candidates.best_after(summary, 6) == max(scores)
    assert search_candidates.best_after(summary, 1) == scores[0]  # the uniform one
    monkeypatch.setattr(search_candidates, "STEPS", (1, 6, 16))
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["search_candidates", "--out", str(folders[1])])
    search_candidates.main()
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| sst2-head+neuron-0.5-0 |")]
    uniform, first, six, more = (part.strip() for part in row.split("|")[2:6])
    assert (uniform, first, six, more) == (f"{-scores[0]:.4f}", f"{-scores[0]:.4f}", f"{-max(scores):.4f}", "nan")


def test_what_a_process_of_its_own_does_counts_as_processor_time() -> None:
    before = processor_seconds()
    work = "import time\nwhile time.process_time() < 0.4: pass"
    subprocess.run([sys.executable, "-c", work], check=True, timeout=60)
    assert processor_seconds() - before >= 0.4


def test_proxies_are_compared_over_searched_and_random_candidates(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _arguments(folders, pattern="vector:4x1", ratio=0.5, candidates=4)
    with search_here():
        tried = search_proxies.measure(arguments, "sst2")
    assert {name: len(own) for name, own in tried.items()} == {"searched": 4, "random": 4}
    assert all(set(own.proxies) == set(search_proxies.PROXIES) for group in tried.values() for own in group)
    assert all(own.proxies["kl"] > 0 and own.divergence > 0 for own in tried["random"])
    search_proxies.print_group("title", tried["searched"])
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(search_proxies.PROXIES)


def test_the_head_correction_is_shown_for_each_pruner(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    head_correction.measure(_arguments(folders, patterns=["vector:4x1"], ratios=[0.5, 0.7]), "sst2")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * len(head_correction.PRUNERS)
    assert all(line.endswith("made") for line in lines)
