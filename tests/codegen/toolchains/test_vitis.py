"""Vitis on a project, played by stand-ins that replay small reports: no vendor tool runs here (docs/status.md)."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from aebert.cli.main import main
from aebert.hls_reports.model import CosimReport, CsynthReport, LinkLog
from aebert.records.from_reports import ImportContext
from aebert.support.errors import AebertError
from codegen.project import load_project
from codegen.toolchains.process import run_logged
from codegen.toolchains.vitis import run_vitis_hls, run_vpp, synthesised_reports
from codegen.toolchains.vitis_log import progress_of
from host.emulated.timed_run import time_project
from tests.support.paths import SUPPORT
from tests.support.projects import write_tiny_project
from tests.support.small_project import small_project_text

STAND_IN = SUPPORT / "stand_ins" / "vitis_stand_in.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in small_project_text().items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "project" / "manifest.json").write_text("{}")
    return tmp_path / "project"


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """A function that puts stand-ins of these names on a PATH that otherwise holds make, sh and python only."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python3").symlink_to(sys.executable)
    for needed in ("make", "sh", "env", "mkdir", "touch", "sleep"):
        found = shutil.which(needed)
        assert found is not None
        (tools / needed).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))

    def put(*names: str) -> None:
        for name in names:
            (tools / name).symlink_to(STAND_IN)

    return put


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def all_gone(pids: list[int], within_s: float = 10) -> bool:
    """Whether none runs any more: one that was killed may take a moment on a busy machine."""
    deadline = time.monotonic() + within_s
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("tools", [("vitis_hls",), ("vitis-run", "v++")], ids=["classic", "unified"])
def test_steps_run_in_order_and_their_reports_come_back_parsed(
    project: Path, install: Install, tools: list[str]
) -> None:
    install(*tools)
    heard: list[str] = []
    run = run_vitis_hls(project, ("export", "cosim", "csynth", "csim"), progress=heard.append)
    assert run.tool == tools[0]
    assert run.steps == ("csim", "csynth", "cosim", "export")
    synthesis, cosim = (collected.report for collected in run.reports)
    assert isinstance(synthesis, CsynthReport)
    assert synthesis.modules[0].loops[0].ii_achieved is not None
    assert isinstance(cosim, CosimReport)
    assert cosim.runs[1].latency_max == 3200
    assert run.product == Path("build/aebert_kernel.xo")
    assert "schedule engine_Pipeline_Steps" in heard
    assert "RTL simulation: transaction 1 of 2" in heard
    assert all("stand-in" in (project / log).read_text() for log in run.logs)


def test_facts_carry_the_kind_of_their_source(project: Path, install: Install) -> None:
    install("vitis_hls")
    run = run_vitis_hls(project, ("csynth", "cosim"))
    records = [record for collected in run.reports for record in collected.records(ImportContext(board="u200"))]
    kernel = [(record.source, record.cycles_max) for record in records if record.scope == "design"]
    assert kernel == [("csynth", 9001), ("cosim", 3200)]
    assert {record.design for record in records} == {"aebert_kernel"}


def test_synthesis_is_not_repeated_until_a_source_changes(project: Path, install: Install) -> None:
    install("vitis_hls")
    log = project / "build" / "logs" / "csynth.log"
    run_vitis_hls(project, ("csynth",))
    assert "stand-in" in log.read_text()
    again = run_vitis_hls(project, ("csynth",))
    assert "stand-in" not in log.read_text()
    assert len(again.reports) == 1
    later = time.time() + 5
    os.utime(project / "kernel" / "types.h", (later, later))
    run_vitis_hls(project, ("csynth",))
    assert "stand-in" in log.read_text()


def test_a_link_synthesises_first_and_reports_the_clock(project: Path, install: Install) -> None:
    install("v++", "vitis_hls", "xclbinutil")
    heard: list[str] = []
    run = run_vpp(project, progress=heard.append)
    assert run.product == Path("build/aebert_kernel.hw.xclbin")
    (log,) = (collected.report for collected in run.reports)
    assert isinstance(log, LinkLog)
    assert log.data_mhz == 287
    assert heard[-3:] == ["system_link: Started", "synth: Started", "finished 2nd of 6 tasks (FPGA logic placement)"]


def test_a_link_for_hardware_emulation_has_its_own_product_and_no_clock(project: Path, install: Install) -> None:
    install("v++", "vitis_hls", "xclbinutil")
    run = run_vpp(project, target="hw_emu")
    assert run.product == Path("build/aebert_kernel.hw_emu.xclbin")
    assert run.reports == ()


def test_without_vitis_one_line_says_what_is_missing_and_what_for(project: Path, install: Install) -> None:
    with pytest.raises(AebertError, match=r"vitis_hls nor vitis-run and v\+\+ are on PATH; install .* co-simulation"):
        run_vitis_hls(project)
    with pytest.raises(AebertError, match=r"v\+\+: not on PATH; install .* to link bitstreams"):
        run_vpp(project)
    install("v++")
    with pytest.raises(AebertError, match="neither vitis_hls nor vitis-run"):
        run_vitis_hls(project)


def test_a_failing_tool_is_quoted_with_its_first_error(
    project: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("vitis_hls")
    monkeypatch.setenv("STAND_IN_MODE", "fail")
    with pytest.raises(AebertError, match=r"\[HLS 207-2163\] 'dim' is out of range; see .*csynth\.log"):
        run_vitis_hls(project)
    assert not (project / "build" / "csynth.done").exists()


def test_a_step_that_leaves_no_report_is_an_error(
    project: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("vitis_hls")
    monkeypatch.setenv("STAND_IN_MODE", "silent")
    with pytest.raises(AebertError, match="left no report"):
        run_vitis_hls(project)


def test_a_report_that_cannot_be_read_costs_the_tool_nothing(
    project: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("vitis_hls")
    monkeypatch.setenv("STAND_IN_MODE", "malformed")
    run = run_vitis_hls(project)
    assert run.reports == ()
    (reason,) = run.unreadable
    assert "csynth.xml: " in reason
    with pytest.raises(AebertError, match=r"csynth\.xml: "):
        synthesised_reports(project)  # who relies on it is told


def test_a_tool_that_takes_too_long_is_ended_with_all_it_started(
    project: Path, install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install("vitis_hls")
    monkeypatch.setenv("STAND_IN_MODE", "hang")
    monkeypatch.setenv("STAND_IN_PIDS", str(tmp_path / "pids"))
    with pytest.raises(AebertError, match="took longer than 3 s"):
        run_vitis_hls(project, limit_s=3)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert all_gone(pids)


def test_ctrl_c_leaves_no_process_behind(
    project: Path, install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install("vitis_hls")
    monkeypatch.setenv("STAND_IN_MODE", "hang")
    pids_file = tmp_path / "pids"
    monkeypatch.setenv("STAND_IN_PIDS", str(pids_file))

    def interrupt() -> None:
        while not pids_file.exists() or not pids_file.read_text():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_vitis_hls(project, limit_s=60)
    assert all_gone([int(pid) for pid in pids_file.read_text().split()])


def test_a_board_that_vivado_builds_is_not_linked(project: Path, install: Install) -> None:
    install("v++", "vitis_hls", "xclbinutil")
    (project / "link.cfg").unlink()
    with pytest.raises(AebertError, match=r"has no link\.cfg"):
        run_vpp(project)


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path, install: Install) -> None:
    install("vitis_hls")
    with pytest.raises(AebertError, match="give a generated project"):
        run_vitis_hls(tmp_path)


def test_what_a_command_prints_is_kept_whole(tmp_path: Path) -> None:
    heard: list[str] = []
    log = tmp_path / "logs" / "log.txt"
    finished = run_logged(
        ("sh", "-c", "echo one; echo two >&2; printf '\\377 three\\n'"),
        directory=tmp_path,
        log=log,
        limit_s=30,
        on_line=heard.append,
    )
    assert heard == ["one", "two", "\ufffd three"]
    assert log.read_text().splitlines() == heard
    assert finished.seconds > 0


def test_lines_that_mark_no_progress_are_passed_over() -> None:
    assert progress_of("INFO: [HLS 200-10] For user 'someone' on host 'somewhere'") is None
    assert progress_of("aebert: step csynth") == "csynth"


def test_a_deadlock_names_the_processes_and_the_streams_they_wait_on(
    project: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("vitis_hls")
    monkeypatch.setenv("STAND_IN_MODE", "deadlock")
    with pytest.raises(AebertError) as failed:
        run_vitis_hls(project, ("cosim",))
    message = str(failed.value)
    assert "C/RTL co-simulation finished: FAIL" in message
    assert (
        "deadlock at 150290000 ns, processes wait: engine on empty tiles (from read_weights), requantise on full "
        "scores (to row_maximum), row_maximum on full held_scores; deepen these FIFOs"
    ) in message
    assert "\n" not in message


def test_what_is_meant_is_said_to_be() -> None:
    words = progress_of("WARNING: [HLS 200-657] Generating channel 'requantised' that flows backwards")
    assert words == "a channel flows backwards, as it is meant to"


def test_build_compares_the_synthesised_loops_with_the_estimate_and_keeps_the_facts(
    tiny_models: dict[str, Path],
    tmp_path: Path,
    install: Install,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = write_tiny_project(tiny_models["bert"], tmp_path / "tiny")
    install("vitis_hls")
    database = f"sqlite:///{tmp_path / 'runs.sqlite'}"
    assert main(["build", str(project), "--tool", "vitis_hls", "--store", "--database", database]) == 0
    printed = capsys.readouterr()
    (steps,) = [line.split() for line in printed.out.splitlines() if line.startswith("engine.Steps")]
    assert (steps[2], steps[4]) == ("1", "18")
    assert "stored" in printed.err
    assert main(["runs", "list", "--database", database]) == 0
    assert "csynth" in capsys.readouterr().out
    # Timed emulation takes the loop's depth from the report from now on. (It needs the compiler again.)
    monkeypatch.undo()
    schedules = {schedule.loop: schedule for schedule in time_project(load_project(project), [8]).schedules}
    assert (schedules["engine.Steps"].source, schedules["engine.Steps"].depth) == ("csynth", 18)
    assert schedules["requantise.Vectors"].source == "scheduled"
