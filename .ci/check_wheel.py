"""Checks an installed wheel: the code comes from it, every command can be imported, boards and templates are found."""

from __future__ import annotations

import importlib
import os
import sys
from importlib import resources
from pathlib import Path


def main(environment: str) -> None:
    os.chdir("/")
    commands = importlib.import_module("aebert.cli.main")
    assert Path(commands.__file__ or "").is_relative_to(environment), f"not from the wheel: {commands.__file__}"
    for entry in commands.COMMANDS.values():
        importlib.import_module(entry.module)
    boards = importlib.import_module("aebert.design.board")
    for name in boards.board_names():
        boards.load_board(name)
    templates = [file for file in resources.files("codegen.templates").iterdir() if not file.name.startswith("_")]
    assert templates, "no templates in the wheel"
    print(f"{len(commands.COMMANDS)} commands, {len(boards.board_names())} boards, {len(templates)} template folders")


main(sys.argv[1])
