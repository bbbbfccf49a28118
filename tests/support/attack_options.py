"""Odd arguments and options for any command: right ones now and then, so that what follows them is reached."""

from __future__ import annotations

from random import Random

import click

from aebert.cli.common_options import flag_name
from tests.support.mutations import NASTY_NUMBERS, NASTY_TEXT

# They would train, search or try the machine's tools for minutes when their options happen to be right.
_LONG = ("finetune", "search", "explore", "doctor", "schedule")
_LONG_TOOLS = ("rtl", "yosys")  # of build
_PATHS = (
    "model",
    "subnet",
    "project",
    "run",
    "sentence",
    "runs.sqlite",
    "model.onnx",
    "csynth.xml",
    "absent",
    ".",
    "/dev/null",
)
_PATHS_OF_LONG = ("absent", "csynth.xml", "/dev/null", "")
_SIZES = ("", "0", "-1", "1e3", "x", "9" * 30, "9" * 5000)
# Options that are outputs: they must lie in the workspace's own folder for it.
_OUTPUTS = ("output", "junit", "plot")


def odd_argument(random: Random, words: tuple[str, ...]) -> str:
    """A path or text for the command called by ``words``."""
    if words[0] in ("explore", "estimate") and random.random() < 0.3:
        return ",".join(f"{name}={random.choice(_SIZES)}" for name in ("layers", "hidden", "heads", "ffn"))
    paths = _PATHS_OF_LONG if words[0] in _LONG else _PATHS
    return str(random.choice([*paths, *NASTY_TEXT[:6]])).replace("\x00", "")


def odd_value(option: click.Option, random: Random, words: tuple[str, ...]) -> str:
    """A value for ``option`` of the command called by ``words``."""
    if isinstance(option.type, click.Choice) and random.random() < 0.7:
        chosen = str(random.choice(list(option.type.choices)))
        return "x" if chosen in _LONG_TOOLS else chosen
    if flag_name(option) in ("device", "hil"):
        return random.choice(("emulator", "emulator:1", "pynq:9", f"pynq:{'9' * 5000}", "xrt:0", "x", "remote:", ""))
    if flag_name(option) in ("database", "storage"):
        return random.choice(("runs.sqlite", "csynth.xml", "sqlite:///absent/x", "nonsense://x", "sqlite://", ""))
    if flag_name(option) in ("scheduler", "workers", "threads"):
        return "x"
    if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType):
        return str(random.choice((*NASTY_NUMBERS, 2, 8, 64, "x", "9" * 5000)))
    if isinstance(option.type, click.Path):
        return "out/y" if flag_name(option) in _OUTPUTS else odd_argument(random, words)
    return random.choice(("u200", "board.toml", "sst2", "0.5", "vector:4x1", *NASTY_TEXT)).replace("\x00", "")
