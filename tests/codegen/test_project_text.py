"""What stands beside the kernel: test bench and golden vectors, Makefile, scripts, memory banks."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aebert.design.board import board_names, load_board
from aebert.support.errors import AebertError
from codegen.golden_vectors import GoldenVector, golden_files
from codegen.memory_image import build_memory_image
from codegen.placement import place_compute_units
from codegen.project_text import KERNEL_FLAGS, project_files
from tests.support.random_quantised import random_quantised_encoder, random_shape
from tests.support.small_project import CLOCK_MHZ, SMALL_CONFIG, golden_vector, write_small_project


def make(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-C", str(project), "--no-print-directory", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")} | {"CXXFLAGS": "-O0"},
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project whose test bench is compiled; copy it before changing it."""
    if shutil.which("make") is None or shutil.which("g++") is None:
        pytest.skip("make and g++ are needed")
    project = write_small_project(tmp_path_factory.mktemp("small"))
    compiled = make(project, "build/testbench")
    assert compiled.returncode == 0, compiled.stderr
    return project


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "project", copy_function=shutil.copy2))


def testbench(project: Path, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(project / "build" / "testbench"), *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


testbench.__test__ = False  # type: ignore[attr-defined]


def change(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(bytes(content))


def test_the_kernel_passes_golden_vectors_of_the_integer_reference(built: Path) -> None:
    ran = make(built, "testbench")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 of 2 golden vectors equal" in ran.stdout


def test_one_cut_for_dies_passes_them_in_the_exact_widths_and_the_standard_of_vitis_hls_too(tmp_path: Path) -> None:
    """C simulation in Vitis HLS uses ap_int of exact widths; here it is the open one that hls4ml brings."""
    spec = importlib.util.find_spec("hls4ml")
    if spec is None or spec.origin is None:
        pytest.skip("hls4ml, which brings ap_int.h, is not installed")
    ap_types = Path(spec.origin).parent / "templates" / "vivado" / "ap_types"
    flags = f"-O0 {KERNEL_FLAGS} -isystem {ap_types}"
    cut = replace(SMALL_CONFIG, tokens=16, engines=2, lut_lanes=3, max_groups=4)
    ran = make(write_small_project(tmp_path, config=cut), "testbench", "BUILD=exact", f"CXXFLAGS={flags}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 of 2 golden vectors equal" in ran.stdout


def test_vitis_may_run_the_test_bench_anywhere_below_the_project(project: Path) -> None:
    below = project / "build" / "hls" / "solution" / "csim" / "build"
    below.mkdir(parents=True)
    assert testbench(project, below).returncode == 0
    elsewhere = testbench(project, project.parent)
    assert elsewhere.returncode == 2
    assert "give the project as the argument" in elsewhere.stderr


def test_a_wrong_golden_byte_is_named_by_layer_pass_token_and_channel(project: Path) -> None:
    # Vector 0 of the first pass is channel 0; token 2 of it lies 4 bytes on.
    change(project / "golden" / "two-sequences" / "expected.bin", 4)
    ran = testbench(project, project)
    assert ran.returncode == 1
    assert "FAIL two-sequences: layer -1, pass load, token 2, channel 0: expected " in ran.stdout
    assert "1 of 2 golden vectors equal" in ran.stdout


def test_a_wrong_byte_late_in_a_head_is_found_at_its_place(project: Path) -> None:
    quantised = random_quantised_encoder(random_shape(layers=2, hidden=32, heads=2, ffn=64), 0, density=0.5)
    program = golden_vector(SMALL_CONFIG, quantised, "x", (13, 24), 0).program
    vector_bytes = SMALL_CONFIG.words_per_vector * SMALL_CONFIG.word_bytes
    start = 0
    for step in program.passes:
        if (step.name, step.layer, step.head, step.sequence) == ("context", 1, 1, 1):
            break
        start += step.stored_vectors(SMALL_CONFIG) * vector_bytes
    # Row group 2, token group 1 of 3, lane 3: channel 11; token 8 + 5.
    vector = (2 * 3 + 1) * SMALL_CONFIG.out_lanes + 3
    change(project / "golden" / "two-sequences" / "expected.bin", start + vector * vector_bytes + 2 * 5)
    ran = testbench(project, project)
    assert "layer 1, pass context (sequence 1, head 1), token 13, channel 11: expected " in ran.stdout


def test_padding_is_not_compared(project: Path) -> None:
    # The only token of the vector is token 0; the second one is padding.
    change(project / "golden" / "one-token" / "expected.bin", 2)
    assert testbench(project, project).returncode == 0


def test_a_wrong_weight_is_found(project: Path) -> None:
    change(project / "memory" / "weights.bin", 6)  # of a channel whose operand is not zero
    assert testbench(project, project).returncode == 1


@pytest.mark.parametrize("name", ["memory/indices.bin", "golden/index.txt", "golden/one-token/program.bin"])
def test_a_missing_file_is_named(project: Path, name: str) -> None:
    (project / name).unlink()
    ran = testbench(project, project, ".")
    assert ran.returncode == 2
    assert name in ran.stderr


def test_a_truncated_golden_file_is_no_difference_but_an_error(project: Path) -> None:
    path = project / "golden" / "two-sequences" / "expected.bin"
    path.write_bytes(path.read_bytes()[:-64])
    ran = testbench(project, project)
    assert ran.returncode == 2
    assert "does not have the size" in ran.stderr


def test_the_makefile_respects_cxx(project: Path, tmp_path: Path) -> None:
    marker = tmp_path / "called"
    compiler = tmp_path / "mycxx"
    compiler.write_text(f'#!/bin/sh\necho called > {marker}\nexec g++ "$@"\n')
    compiler.chmod(0o755)
    assert make(project, "clean").returncode == 0
    assert make(project, "build/objects/emulation/dataflow.o", f"CXX={compiler}").returncode == 0
    assert marker.exists()


@pytest.mark.parametrize("name", board_names())
def test_every_board_gets_its_text_deterministically(name: str) -> None:
    board = load_board(name)
    files = project_files(SMALL_CONFIG, board, board.clock_mhz, 1)
    assert files == project_files(SMALL_CONFIG, board, board.clock_mhz, 1)
    assert set(files) >= {"Makefile", "README.md", "hls.tcl", "hls_config.cfg", "testbench.cpp"}
    assert ("link.cfg" in files) == (board.flow == "vitis")
    assert f"set_part {board.part}" in files["hls.tcl"]
    assert f"part={board.part}" in files["hls_config.cfg"]
    for script in ("hls.tcl", "hls_config.cfg"):
        assert "kernel/engine.cpp" in files[script]
        assert "emulation/dataflow.cpp" in files[script]


@pytest.mark.parametrize("name", [name for name in board_names() if load_board(name).flow == "vitis"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_link_configuration_connects_every_port_of_every_compute_unit_once(name: str, count: int) -> None:
    board = load_board(name)
    lines = project_files(SMALL_CONFIG, board, board.clock_mhz, count)["link.cfg"].splitlines()
    units = [f"aebert_kernel_{number + 1}" for number in range(count)]
    assert f"nk=aebert_kernel:{count}:{'.'.join(units)}" in lines
    connected = [line.removeprefix("sp=").partition(":") for line in lines if line.startswith("sp=")]
    ports = ("pass_table", "weights", "indices", "parameters", "embeddings", "results")
    assert sorted(port for port, _, _ in connected) == sorted(f"{unit}.{port}" for unit in units for port in ports)
    assert {tag for _, _, tag in connected} <= {bank.tag for bank in board.memory.banks}


def test_weights_and_indices_have_banks_of_their_own() -> None:
    (unit,) = place_compute_units(SMALL_CONFIG, load_board("u200"), 1)
    banks = dict(unit.banks)
    others = [bank for port, bank in unit.banks if port not in ("weights", "indices")]
    assert banks["weights"] != banks["indices"]
    assert banks["weights"] not in others
    assert banks["indices"] not in others


def test_two_compute_units_share_neither_slr_nor_the_weights_bank() -> None:
    first, second = place_compute_units(SMALL_CONFIG, load_board("u200"), 2)
    assert None not in (first.slr, second.slr)
    assert first.slr != second.slr
    assert dict(first.banks)["weights"] != dict(second.banks)["weights"]


def test_an_array_larger_than_an_slr_is_not_pinned_to_one() -> None:
    large = replace(SMALL_CONFIG, tokens=32, in_lanes=16)
    board = load_board("u200")
    small_regions = replace(
        board,
        slrs=tuple(replace(slr, available=replace(slr.available, dsp=1200)) for slr in board.slrs),
    )
    assert place_compute_units(large, board, 1)[0].slr is not None
    assert place_compute_units(large, small_regions, 1)[0].slr is None


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(AebertError, match="compute units: 0"):
        project_files(SMALL_CONFIG, load_board("u200"), CLOCK_MHZ, 0)
    with pytest.raises(AebertError, match="give 1 to 2000"):
        project_files(SMALL_CONFIG, load_board("u200"), float("nan"), 1)
    with pytest.raises(AebertError, match="built with Vivado"):
        project_files(SMALL_CONFIG, load_board("pynq-z2"), 100.0, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "../up"}, "use lower-case letters"),
        ({"expected": np.zeros(64, np.uint8)}, "compute it for this program"),
    ],
)
def test_golden_vectors_that_cannot_be_written_are_refused(changes: dict[str, object], message: str) -> None:
    quantised = random_quantised_encoder(random_shape(layers=1, hidden=32, heads=2, ffn=64), 0)
    image = build_memory_image(quantised, SMALL_CONFIG)
    good = golden_vector(SMALL_CONFIG, quantised, "good", (3,), 0)
    fields = {"name": good.name, "program": good.program, "input": good.input, "expected": good.expected}
    with pytest.raises(AebertError, match=message):
        golden_files(SMALL_CONFIG, image, [GoldenVector(**(fields | changes))])  # type: ignore[arg-type]
    with pytest.raises(AebertError, match="given twice"):
        golden_files(SMALL_CONFIG, image, [good, good])
