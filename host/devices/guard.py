"""What a guarded launch is held against: a second run of it at other places, and a sequence whose answer is known.

The device is believed when the check run, in which every sequence lies one token group further on in other buffers,
says the same of every sequence, and the known sequence beside them comes out as the integer reference has it. A cell or
lane that is stuck hits other values in the two runs, or the known ones. What remains is said in docs/faults.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aebert.design.hardware_config import HardwareConfig
from aebert.design.program import Program, build_program
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import run_encoder
from codegen.vector_order import Int16Array, split_output, stored_passes

# Of the known sequence's values: as residuals are, so that no lane stays at zero.
_SPREAD = 3000.0


@dataclass(frozen=True)
class CheckRun:
    """A program and its input, whose last residuals are known in part or to be compared.

    ``expected`` is the known sequence's answer; ``shared`` says whether the launch's own sequences follow it.
    """

    program: Program
    residuals: tuple[Int16Array, ...]
    expected: Int16Array
    shared: bool


class KnownSequence:
    """One token group of random values through the resident encoder; made when the encoder becomes resident."""

    def __init__(self, config: HardwareConfig, quantised: QuantisedEncoder) -> None:
        self._config = config
        self._quantised = quantised
        length = min(config.tokens, config.max_length)
        random = np.random.default_rng(0)
        values = np.rint(random.normal(0.0, _SPREAD, (length, quantised.shape.hidden)))
        self._residual: Int16Array = np.clip(values, -32767, 32767).astype(np.int16)
        self._expected = run_encoder(quantised, self._residual)

    def check_runs(self, program: Program, residuals: Sequence[Int16Array]) -> list[CheckRun]:
        """What is to run besides ``program``: one launch, or two where the design is full."""
        if self._fits(program):
            return [self._check_run((self._residual, *residuals), shared=True)]
        return [self._check_run((self._residual,), shared=False)]

    def problem(self, run: CheckRun, output: npt.NDArray[np.uint8], answers: Sequence[Int16Array]) -> str | None:
        """What the bytes of ``run``'s ``output`` say against the device, or ``answers``, which the launch gave."""
        (last,) = stored_passes(self._config, run.program, output)
        known, *again = split_output(self._config, run.program, last.values)
        if not np.array_equal(known, run.expected):
            return "the known sequence beside a launch came out wrong"
        if run.shared and not all(map(np.array_equal, again, answers)):
            return "two runs of the same launch gave different outputs"
        return None

    def _check_run(self, residuals: tuple[Int16Array, ...], *, shared: bool) -> CheckRun:
        program = build_program(self._config, self._quantised, [len(each) for each in residuals])
        return CheckRun(program, residuals, self._expected, shared)

    def _fits(self, program: Program) -> bool:
        """Whether the last residuals are all that it stores, and the design has a token group left."""
        stored = [step for step in program.passes if step.stored_vectors(self._config)]
        return len(stored) == 1 and program.groups < self._config.max_groups
