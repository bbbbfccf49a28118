"""Every limit on what somebody else may send, at its edge and in figures: the most that is taken, and one more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import onnx
import pytest
from onnx import helper

from aebert.cli.command_tree import leaf_commands
from aebert.cli.common_options import flag_name, own_options
from aebert.cli.main import cli
from aebert.cli.number_limits import limit_number
from aebert.cost_model.fitted_model import read_model
from aebert.design.board_file import BankTable
from aebert.explore.shapes import parse_shape
from aebert.hls_reports import parse_report
from aebert.hls_reports.csynth_rpt import parse_csynth_rpt
from aebert.hls_reports.csynth_summary import parse_csynth_summary
from aebert.hls_reports.reading import ReportText
from aebert.hls_reports.xml_input import parse_xml
from aebert.models.architectures import ARCHITECTURES
from aebert.models.calibration_text import read_texts
from aebert.models.config_json import encoder_shape, read_json_object
from aebert.models.encoder import EncoderShape
from aebert.models.host_model import check_model_directory
from aebert.models.labels import output_names
from aebert.onnx_exchange.onnx_file import read_onnx_file
from aebert.pruning.zero_patterns import parse_pattern
from aebert.quantisation.storage import HEADER_FILE, load_quantised
from aebert.records.record import RunRecord
from aebert.search.run.run_directory import RUN_FILE, open_run
from aebert.search.run.summary import SUMMARY_FILE, read_summary
from aebert.search.space.grid import make_grid
from aebert.support.checked_files import check_fields, read_json
from aebert.support.errors import AebertError
from aebert.support.toml_file import read_toml
from aebert.tasks.layouts import make_text, whole_number
from codegen.lint.check import lint_project
from codegen.lint.source import parse_sources
from codegen.manifest import read_manifest
from codegen.project_folder import MANIFEST_FILE
from codegen.project_sources import read_sources
from host.devices.known_answer import _length
from tests.support import report_samples


def refusal(call: Callable[[], object]) -> str:
    """What ``call`` is refused with; empty where it is not."""
    try:
        call()
    except (AebertError, click.BadParameter) as error:
        return str(error)
    return ""


class File(NamedTuple):
    """A file that may have so many bytes, its name in the folder that ``read`` is given, or of ``read`` itself."""

    most: int
    name: str
    read: Callable[[Path], object]


FILES = (
    File(64 << 20, "config.json", read_json_object),
    File(64 << 20, "checked.json", lambda path: read_json(dict[str, int], path, "mend it")),
    File(1 << 20, "board.toml", read_toml),
    File(256 << 20, "text.txt", read_texts),
    File(64 << 20, "fitted.json", read_model),
    File(256 << 20, SUMMARY_FILE, lambda path: read_summary(path.parent)),
    File(1 << 20, RUN_FILE, lambda path: open_run(path.parent, {}, resume=True)),
    File(16 << 20, HEADER_FILE, lambda path: load_quantised(path.parent)),
    File(16 << 20, MANIFEST_FILE, lambda path: read_manifest(path.parent)),
    File(16 << 20, "kernel/kernel.cpp", lambda path: read_sources(path.parents[1])),
    File(16 << 20, "kernel/kernel.cpp", lambda path: lint_project(path.parents[1])),
    File(16 << 20, "index", lambda path: _length(path, "name", 32)),
)


@pytest.mark.parametrize("file", FILES, ids=[f"{file.name}-{number}" for number, file in enumerate(FILES)])
def test_a_file_of_a_byte_too_many_is_refused_before_it_is_read(tmp_path: Path, file: File) -> None:
    """That exactly so many are read is `read_input`'s, and tests/support_units/test_input_files.py's."""
    path = tmp_path / file.name
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as stream:
        stream.truncate(file.most + 1)  # takes no room on the disk
    assert f"{path}: {file.most + 1} bytes, more than {file.most}" in refusal(lambda: file.read(path))


def test_a_report_of_a_byte_too_many_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "csynth.rpt"
    for size, refused in ((64 << 20, False), ((64 << 20) + 1, True)):
        with path.open("wb") as stream:
            stream.truncate(size)
        assert ("larger than" in refusal(lambda: parse_report(path))) == refused


def test_an_onnx_file_beyond_what_protobuf_can_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as stream:
        stream.truncate(1 << 31)
    assert f"{1 << 31} bytes, no ONNX file is larger than 2 GB" in refusal(lambda: read_onnx_file(path))


def onnx_of(path: Path, nodes: int) -> Path:
    graph = onnx.GraphProto(name="graph")
    graph.node.extend([helper.make_node("Identity", ["x"], ["y"])] * nodes)
    opsets = [helper.make_opsetid("", 17)]
    path.write_bytes(onnx.ModelProto(ir_version=8, graph=graph, opset_import=opsets).SerializeToString())
    return path


def nested_xml(depth: int) -> ReportText:
    text = "<a>" * depth + "</a>" * depth
    return ReportText("x.xml", "x", "0" * 64, len(text), text)


def nested_loop(depth: int) -> ReportText:
    text = report_samples.CSYNTH_RPT_2018.replace("|  ++ Lanes       |", "|  " + "+" * depth + " Lanes |")
    return ReportText("x.rpt", "x", "0" * 64, len(text), text)


def indented_module(spaces: int) -> ReportText:
    text = report_samples.CSYNTH_SUMMARY.replace("|  o Tiles", "|" + " " * spaces + "o Tiles")
    return ReportText("x.rpt", "x", "0" * 64, len(text), text)


BERT = {"model_type": "bert", "hidden_size": 32, "num_attention_heads": 4, "intermediate_size": 64}
BERT |= {"num_hidden_layers": 2, "max_position_embeddings": 32}


def model_folder(folder: Path, config: dict[str, Any]) -> Path:
    """With that config.json read, nothing else is looked at."""
    folder.mkdir(exist_ok=True)
    return folder


UNSTRUCTURED = parse_pattern("unstructured")


def shape(layers: int) -> EncoderShape:
    return parse_shape(f"layers={layers},hidden=4,heads=1,ffn=4")


def nested_blocks(depth: int) -> str:
    """A tree of that depth: the file, a function, blocks, and the last one's brackets."""
    blocks = depth - 4
    return "void f()" + "{" * blocks + "}" * blocks


def record(**fields: Any) -> RunRecord:
    return RunRecord(source="emulated", design="d", **fields)


def counted(field: str) -> Callable[[Path, int], object]:
    architecture = ARCHITECTURES["bert"]
    return lambda folder, number: encoder_shape({**BERT, field: number}, architecture, folder / "config.json")


def table(field: str) -> Callable[[Path, int], object]:
    return lambda folder, number: check_model_directory(model_folder(folder / "m", {}), {**BERT, field: number})


def option(words: str, flag: str) -> Callable[[Path, float], object]:
    """The option of a command, as click converts and checks what is given for it."""

    def given(folder: Path, number: float) -> object:
        (command,) = [command for path, command in leaf_commands(cli) if path == tuple(words.split())]
        (found,) = [each for each in own_options(command) if flag_name(each) == flag]
        return found.type.convert(f"{number:.17g}", found, None)

    return given


def number_of(kind: type) -> Callable[[Path, float], object]:
    """Any option that says no range of its own."""

    def given(folder: Path, number: float) -> object:
        found = click.Option(["--number"], type=kind)
        limit_number(found)
        assert found.callback is not None
        return found.callback(click.Context(click.Command("any")), found, kind(number))

    return given


class Limit(NamedTuple):
    """``most`` is taken, ``more`` refused by a line that holds ``said``, when ``call`` gets a folder and either."""

    name: str
    most: float
    more: float
    said: str
    call: Callable[[Path, Any], object]


BOARD_BANK = {"tag": "DDR[0]", "slr": 0, "size_mib": 1, "bandwidth_gb_s": 1.0}
LIMITS = (
    Limit("nodes", 50_000, 50_001, "more than 50000", lambda folder, n: read_onnx_file(onnx_of(folder / "m.onnx", n))),
    Limit("xml", 64, 65, "nested deeper than 64", lambda folder, n: parse_xml(nested_xml(n))),
    Limit("loops", 64, 65, "loops nested deeper than 64", lambda folder, n: parse_csynth_rpt(nested_loop(n))),
    Limit("modules", 128, 129, "nested deeper than 128", lambda folder, n: parse_csynth_summary(indented_module(n))),
    Limit("layers", 1 << 20, (1 << 20) + 1, "more than 1048576", counted("num_hidden_layers")),
    Limit("ffn", 1 << 20, (1 << 20) + 1, "more than 1048576", counted("intermediate_size")),
    Limit("positions", 1 << 20, (1 << 20) + 1, "more than 1048576", counted("max_position_embeddings")),
    Limit("hidden", 1024, 1028, "exceeds 1024", counted("hidden_size")),
    Limit("vocabulary", 1 << 20, (1 << 20) + 1, "more than 1048576", table("vocab_size")),
    Limit("types", 1 << 20, (1 << 20) + 1, "more than 1048576", table("type_vocab_size")),
    Limit("embedding", 1 << 20, (1 << 20) + 1, "more than 1048576", table("embedding_size")),
    Limit("labels", 100_000, 100_001, "more than 100000", lambda folder, n: output_names({"num_labels": n})),
    Limit("banks", 256, 257, "1..256", lambda folder, n: check_fields(BankTable, {**BOARD_BANK, "count": n}, "b")),
    Limit("shape", 1 << 16, (1 << 16) + 1, "1..65536", lambda folder, n: shape(n)),
    Limit("text", 1 << 20, (1 << 20) + 1, "more than 1048576", lambda folder, n: make_text(["x" * n], "row")),
    Limit("record text", 1000, 1001, "keep it under 1000", lambda folder, n: record(note="x" * n)),
    Limit("levels", 512, 513, "choose 2 to 512", lambda folder, n: make_grid(shape(6), UNSTRUCTURED, levels=n)),
    Limit("tree", 200, 201, "nested deeper than 200", lambda folder, n: parse_sources({"kernel.h": nested_blocks(n)})),
    Limit("sequences", 65_536, 65_537, "1<=x<=65536", option("measure", "sequences")),
    Limit("warm-up", 10**6, 10**6 + 1, "1<=x<=1000000", option("measure", "warm-up")),
    Limit("repeats", 10**7, 10**7 + 1, "1<=x<=10000000", option("measure", "repeats")),
    Limit("clock", 2000, 2000.5, "1<=x<=2000", option("generate", "clock-mhz")),
    Limit("compute units", 256, 257, "1<=x<=256", option("generate", "compute-units")),
    Limit("whole", (1 << 31) - 1, 1 << 31, "more than 2147483647", number_of(int)),
    Limit("negative", 1 - (1 << 31), -(1 << 31), "more than 2147483647", number_of(int)),
    Limit("real", 1e12, 1.0001e12, "at most 1e+12", number_of(float)),
)  # fmt: skip


@pytest.mark.parametrize("limit", LIMITS, ids=[limit.name for limit in LIMITS])
def test_the_most_is_taken_and_one_more_is_refused(tmp_path: Path, limit: Limit) -> None:
    assert limit.said not in refusal(lambda: limit.call(tmp_path, limit.most))
    assert limit.said in refusal(lambda: limit.call(tmp_path, limit.more))


def test_a_line_of_a_text_is_as_long_as_any_text(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("x" * (1 << 20))
    assert len(read_texts(path)) == 1
    path.write_text("x" * ((1 << 20) + 1))
    assert "line 1: 1048577 characters, more than 1048576" in refusal(lambda: read_texts(path))


def test_a_label_is_a_number_of_at_most_18_digits() -> None:
    assert whole_number("9" * 18) == 10**18 - 1
    assert whole_number("9" * 19) is None


@pytest.mark.parametrize("digits", [30, 5000])
def test_a_shape_of_very_many_digits_is_refused_like_any_other(digits: int) -> None:
    said = refusal(lambda: parse_shape(f"layers={'9' * digits},hidden=4,heads=1,ffn=4"))
    assert "must be a whole number in 1..65536" in said
    assert len(said) < 500
