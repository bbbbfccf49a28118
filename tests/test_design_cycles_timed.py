"""The closed form agrees with timed emulation of the very kernel it describes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from aebert.design.config import HardwareConfig
from tests.support.closed_form import compare_cycles
from tests.support.random_quantised import random_quantised_encoder, random_shape

needs_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in (os.environ.get("CXX", ""), "g++", "clang++") if name),
    reason="no C++ compiler here",
)


@needs_compiler
def test_predicted_cycles_are_within_two_percent_of_timed_emulation(tmp_path: Path) -> None:
    config = HardwareConfig(tokens=16, out_lanes=4, in_lanes=8, max_hidden=64, max_ffn=256, max_length=32, max_groups=3)
    quantised = random_quantised_encoder(random_shape(2, 64, 4, 256), seed=1, density=0.5)
    for predicted, emulated in compare_cycles(tmp_path, config, quantised, [(32,), (20,), (20, 9)]):
        assert predicted == pytest.approx(emulated, rel=0.02)
