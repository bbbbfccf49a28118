"""A kernel that is somebody's attack computes and does nothing else; one that hangs leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from aebert.support.errors import AebertError
from codegen.manifest import TOP
from codegen.project_sources import ProjectSources
from host.emulated import emulated_board
from host.emulated.emulator import EmulatorDevice
from tests.support.paths import ROOT

KERNEL = """
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
static std::string found;
static void tell(const char* what, bool possible) { found += possible ? std::string(what) + " " : ""; }
static void attack() {
  ATTACK
}
static struct First { First() { attack(); } } first;
extern "C" void TOP_NAME(void*, void*, void*, void*, void*, void*, int, int, int, int) {}
extern "C" const char* aebert_emulation_error() { return ""; }
extern "C" const char* aebert_timing_result() { return found.c_str(); }
"""

ATTACKS = {
    "read": 'tell("read", open("/etc/passwd", O_RDONLY) >= 0);',
    "read its user's files": 'tell("home", open("HOME_FILE", O_RDONLY) >= 0);',
    "write": 'tell("write", open("HOME_FILE", O_WRONLY) >= 0);',
    "create": 'tell("create", open("HOME_FILE.new", O_WRONLY | O_CREAT, 0600) >= 0);',
    "remove": 'tell("remove", unlink("HOME_FILE") == 0);',
    "network": 'tell("network", socket(AF_INET, SOCK_STREAM, 0) >= 0);',
    "fork": 'pid_t child = fork(); if (child == 0) _exit(0); tell("fork", child > 0);',
    "run": 'tell("run", system("true") == 0);',
    "signal": 'tell("signal", kill(getppid(), 0) == 0);',
    "raise limits": 'rlimit most{1 << 20, 1 << 20}; tell("limits", setrlimit(RLIMIT_FSIZE, &most) == 0);',
    "read the environment": 'tell("environment", std::getenv("AEBERT_DATABASE") != nullptr);',
}
THREADS = 'bool ran = false; std::thread([&] { ran = true; }).join(); tell("threads", ran);'


def sources(attack: str) -> ProjectSources:
    text = KERNEL.replace("ATTACK", attack).replace("TOP_NAME", TOP)
    return ProjectSources({"kernel/kernel.cpp": text.encode()})


def succeeded(attack: str) -> str:
    device = EmulatorDevice(sources(attack), ("-pthread",))
    try:
        return device.timing().strip()
    finally:
        device.close()


def test_a_kernel_of_somebody_elses_can_compute_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEBERT_DATABASE", "postgresql://user:secret@host/runs")
    device = EmulatorDevice(sources(""))
    layers = device.confinement
    device.close()
    assert {"no-new-privileges", "rlimits"} <= {*layers}
    if not {"landlock", "seccomp"} <= {*layers}:
        pytest.skip(f"this kernel confines by {', '.join(layers)} only")
    mine = tmp_path / "mine"
    mine.write_text("mine")
    everything = "\n".join(f"{{ {attack} }}" for attack in ATTACKS.values()).replace("HOME_FILE", str(mine))
    assert succeeded(everything) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    # The attacks are real: without confinement they succeed, and threads, which emulation may use, go on to.
    assert succeeded(THREADS) == "threads"
    monkeypatch.setattr(emulated_board, "SCRIPT", unconfined(tmp_path))
    assert succeeded(everything).split() == [
        "read", "home", "write", "create", "remove", "network", "fork", "run", "signal", "limits",
    ]  # fmt: skip


def unconfined(folder: Path) -> Path:
    script = folder / "unconfined.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom host.emulated import board_process\n"
        "board_process.confine = lambda libraries: ('landlock', 'seccomp')\nboard_process.main(sys.argv[1])\n"
    )
    return script


def test_a_constructor_that_hangs_is_given_up_and_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated_board, "ACCESS_LIMIT_S", 1.0)
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(AebertError, match=r"cannot be loaded \(emulator: .* was not loaded within 1 s|process died"):
        EmulatorDevice(sources("for (;;) pause();"))
    assert set(psutil.Process().children(recursive=True)) == before


OPEN_HANGING = """
import sys
from codegen.project_sources import ProjectSources
from host.emulated import emulated_board
from host.emulated.emulator import EmulatorDevice
emulated_board.ACCESS_LIMIT_S = 3.0
EmulatorDevice(ProjectSources({"kernel/kernel.cpp": open(sys.argv[1], "rb").read()}))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_whoever_opened_a_hanging_constructor_can_be_ended_and_the_process_ends_too(
    tmp_path: Path, number: signal.Signals
) -> None:
    source = tmp_path / "kernel.cpp"
    source.write_bytes(sources("for (;;) pause();").files["kernel/kernel.cpp"])
    EmulatorDevice(sources(""), ()).close()  # the compiler's time is not what is measured here
    opener = subprocess.Popen([sys.executable, "-c", OPEN_HANGING, source], stderr=subprocess.DEVNULL)
    began = time.monotonic()
    while not (children := psutil.Process(opener.pid).children()) or "python" not in children[0].name():
        assert time.monotonic() - began < 60
        time.sleep(0.05)
    time.sleep(0.5)
    opener.send_signal(number)
    assert opener.wait(60) != 0
    _, alive = psutil.wait_procs(children, timeout=60)  # it would pause for ever
    assert not alive


def test_a_library_that_calls_abort_is_a_fault_and_not_the_end(tmp_path: Path) -> None:
    with pytest.raises(AebertError, match=r"signal 6"):
        EmulatorDevice(sources("abort();"))
    assert os.getpid()


def test_a_reply_that_is_none_is_a_fault() -> None:
    # The kernel shares the process with the code that talks to the host: it may say anything.
    attack = 'for (int file = 3; file < 64; ++file) send(file, "x", 1, MSG_NOSIGNAL);'
    with pytest.raises(AebertError, match="bytes that are no reply"):
        EmulatorDevice(sources(attack))
