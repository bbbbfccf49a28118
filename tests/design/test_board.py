"""Board files: the ones that ship are complete and true to their sources; a wrong one is refused field by field."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aebert.design.board import SOURCE_KEYS, Board, Resources, board_names, load_board
from aebert.support.errors import AebertError
from tests.support.paths import ROOT

ASKED_FOR = {
    "u200", "u250", "u280", "u50", "u55c", "vck5000", "zcu102", "zcu104", "kv260", "ultra96-v2", "aup-zu3",
    "pynq-z2",
}  # fmt: skip
OwnBoard = Callable[..., Path]
SHIPPED = ROOT / "boards"


@pytest.fixture
def own_board(tmp_path: Path) -> OwnBoard:
    """Write the U200's file with ``old`` replaced by ``new``, and return its path."""

    def write(old: str = "", new: str = "") -> Path:
        text = (SHIPPED / "u200.toml").read_text()
        assert old in text
        path = tmp_path / "own.toml"
        path.write_text(text.replace(old, new, 1) if old else text)
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(AebertError) as caught:
        load_board(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_every_board_asked_for_ships() -> None:
    assert set(board_names()) >= ASKED_FOR


@pytest.mark.parametrize("name", board_names())
def test_a_board_carries_the_name_of_its_file_and_a_source_for_every_figure(name: str) -> None:
    board = load_board(name)
    assert board.name == name
    given = {"wires_between_dies"} if board.wires_between_dies else set()
    assert set(board.sources) == {*SOURCE_KEYS, *given}
    assert not given or len(board.slrs) > 1
    assert all(len(source.text) > 10 for source in board.sources.values())


@pytest.mark.parametrize("name", board_names())
def test_the_shell_takes_less_than_a_fifth_and_nothing_is_negative(name: str) -> None:
    board = load_board(name)
    assert 0 <= board.shell.lut < board.total.lut / 5
    for count in fields(Resources):
        assert 0 <= getattr(board.shell, count.name) <= getattr(board.total, count.name)


@pytest.mark.parametrize("name", board_names())
def test_two_flip_flops_go_with_each_lut(name: str) -> None:
    """True of every 7-series, UltraScale+ and Versal device (UG474, UG574, AM005), so a typing error shows."""
    assert load_board(name).total.ff == 2 * load_board(name).total.lut


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("u200", Resources(1182240, 2364480, 6840, 2160, 960)),
        ("u280", Resources(1303680, 2607360, 9024, 2016, 960)),
        ("u50", Resources(871680, 1743360, 5952, 1344, 640)),
        ("kv260", Resources(117120, 234240, 1248, 144, 64)),
        ("pynq-z2", Resources(53200, 106400, 220, 140, 0)),
    ],
)
def test_the_dies_add_up_to_the_device(name: str, total: Resources) -> None:
    """The sums are those of DS962, DS963, DS965, DS987 and DS190."""
    assert load_board(name).total == total


def test_what_kernels_may_use_on_a_u200_is_what_platforminfo_says() -> None:
    assert load_board("u200").available == Resources(979040, 1958080, 5880, 1860, 800)


def test_hbm_is_one_bank_per_pseudo_channel() -> None:
    memory = load_board("u280").memory
    assert [bank.tag for bank in memory.banks] == [f"HBM[{i}]" for i in range(32)]
    assert memory.size_mib == 8 * 1024
    assert math.isclose(sum(bank.bandwidth_gb_s for bank in memory.banks), 460)


def test_ports_to_a_shared_memory_add_neither_size_nor_bandwidth() -> None:
    memory = load_board("kv260").memory
    assert len(memory.banks) == 4
    assert memory.size_mib == 4 * 1024
    assert memory.bandwidth_gb_s == memory.banks[0].bandwidth_gb_s


def test_a_zynq_7000_has_the_narrower_multiplier_and_no_platform() -> None:
    board = load_board("pynq-z2")
    assert board.dsp_multiplier_bits == (25, 18)
    assert board.platform is None
    assert load_board("u200").dsp_multiplier_bits == (27, 18)


def test_a_name_may_be_written_in_capitals() -> None:
    assert load_board("U200") == load_board("u200")


@pytest.mark.parametrize(
    "name", ["u2000", "", "../boards/u200", "/etc/passwd", "u200/../u200", "..", "u200\x00", "__init__"]
)
def test_an_unknown_name_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(AebertError, match=re.escape("u200, u250, u280")) as caught:
        load_board(name)
    assert repr(name) in str(caught.value)


def test_a_file_of_ones_own_is_read_by_path(own_board: OwnBoard) -> None:
    path = own_board('name = "u200"', 'name = "mine"')
    assert load_board(path).name == "mine"
    assert load_board(str(path)) == load_board(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("old", "new", "field", "problem"),
    [
        ('title = "AMD Alveo U200"', "", "title", "is missing"),
        ("clock_mhz = 300", "clock_mhz = 3", "clock_mhz", "50..800"),
        ("clock_mhz = 300", "clock_mhz = nan", "clock_mhz", "must be a number"),
        ("clock_mhz = 300", "clock_mhz = true", "clock_mhz", "must be a number"),
        ("clock_mhz = 300", "clock_mhz = 300\nclock_mghz = 3", "clock_mghz", "is not known"),
        ('flow = "vitis"', 'flow = "quartus"', "flow", "vitis, vivado"),
        ('flow = "vitis"', 'flow = "vivado"', "platform", "remove it"),
        ('dsp = "DSP48E2"', 'dsp = "DSP48"', "dsp", "DSP48E1"),
        ('part = "xcu200-fsgd2104-2-e"', 'part = "xcu200"', "part", "full part number"),
        ('part = "xcu200-fsgd2104-2-e"', 'part = "xcu200; rm -rf /"', "part", "full part number"),
        ('name = "u200"', 'name = "../u200"', "name", "lower-case"),
        ("uram = 320 }", "uram = -1 }", "slr[0].total.uram", "0..100000000"),
        ("uram = 320 }", "uram = 3.5 }", "slr[0].total.uram", "whole number"),
        ("dsp = 2280", "dsp = 100", "slr[0].available.dsp", "must not exceed total.dsp = 100"),
        ("slr = 0", "slr = 3", "memory.bank[0].slr", "0..2"),
        ('tag = "DDR[0]"', 'tag = "DDR[1]"', "memory.bank", "'DDR[1]' is given twice"),
        ('tag = "DDR[0]"', 'tag = "DDR[0]"\ncount = 2', "memory.bank[0].tag", "{index}"),
        ("bandwidth_gb_s = 76.8", "bandwidth_gb_s = 768", "memory.bandwidth_gb_s", "what the banks give"),
        ("axi_data_bits = 512", "axi_data_bits = 500", "memory.axi_data_bits", "power of two"),
        ("shared = false", "shared = 0", "memory.shared", "true or false"),
        ("wires_between_dies = 17280", "", "wires_between_dies", "give both or neither"),
        ("wires_between_dies = 17280", "wires_between_dies = 0", "wires_between_dies", "1..1048576"),
        ("[sources.wires_between_dies]", "[sources.lines]", "sources.lines", "is not known"),
        ("[sources.total]", "[sources.totals]", "sources.totals", "did you mean total?"),
        ("clock_mhz =", "clock_mzh =", "clock_mzh", "did you mean clock_mhz?"),
        ('kind = "document"', 'kind = "rumour"', "sources.platform.kind", "assumption"),
        ("[memory]", "[remember]", "memory.kind", "is missing"),
    ],
)
def test_a_wrong_field_is_named_with_what_would_be_right(
    own_board: OwnBoard, old: str, new: str, field: str, problem: str
) -> None:
    message = refusal(own_board(old, new))
    assert f"field {field}: " in message
    assert problem in message


def test_text_that_is_not_toml_is_refused_with_its_place(own_board: OwnBoard) -> None:
    assert "line 1" in refusal(own_board('name = "u200"', "name = u200"))


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b'name = "\xff"')
    assert "not UTF-8" in refusal(path)


DAMAGE = ("[memory]", "x = 1", "[[slr]]", "name = []", "part = {}", "=", "clock_mhz = 1e400", "dsp = 'DSP58'")


@given(at=st.integers(0, 200), removed=st.integers(0, 3), added=st.lists(st.sampled_from(DAMAGE), max_size=2))
def test_a_damaged_file_gives_a_board_or_one_line_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, removed: int, added: list[str]
) -> None:
    lines = (SHIPPED / "kv260.toml").read_text().splitlines()
    lines[at : at + removed] = added
    path = tmp_path_factory.mktemp("board") / "own.toml"
    path.write_text("\n".join(lines))
    outcome: Board | str
    try:
        outcome = load_board(path)
    except AebertError as error:
        outcome = str(error)
    if isinstance(outcome, Board):
        assert outcome.total.lut > 0
    else:
        assert outcome.startswith(str(path))
        # TOML's own parser quotes the place, never the text.
        assert "\n" not in outcome
