"""Whole small projects, generated as the CLI does it."""

from __future__ import annotations

from pathlib import Path

from aebert.design.board import load_board
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from aebert.models import load_encoder
from aebert.models.host_model import load_host_model
from codegen.generate_project import generate_project

TINY_DESIGN = HardwareConfig(
    tokens=8, out_lanes=2, in_lanes=4, max_hidden=32, max_ffn=64, max_length=32, max_groups=6, word_bytes=16
)
# Over all three dies of a U200.
DIES_DESIGN = HardwareConfig(
    tokens=128, out_lanes=4, in_lanes=16, max_hidden=768, max_ffn=3072, max_length=128, max_groups=1, row_slices=2,
    engines=8, lut_lanes=4,
)  # fmt: skip
CALIBRATION = ("the cat sat on the mat", "a dog ran to the cat", "the dog sat", "a cat ran on a mat to the dog")


def write_tiny_project(model: Path, directory: Path, board: str = "u200") -> Path:
    """A project for one of conftest's tiny models, in ``directory``."""
    design = Design(TINY_DESIGN, load_board(board), clock_mhz=250.0)
    generated = generate_project(load_encoder(model), load_host_model(model), design, CALIBRATION)
    generated.plan.extract(directory)
    return directory
