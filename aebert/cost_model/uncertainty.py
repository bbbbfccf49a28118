"""How far predictions may be off where nothing was fitted. Each figure names the script that prints it.

Of what happens between the closed form and a board, only the clock and the closed form's own error are in here. Whether
synthesis reaches the schedules that the closed form and timed emulation assume, no run has said yet.
"""

from __future__ import annotations

from aebert.cost_model.spread import Spread, combine
from aebert.design.operator_areas import Share, operator_areas

# python -m benchmarks.cycles: 219 of 224 random launches of at most 40000 cycles lie within 2 %, 222 within 2.5 %
# (docs/design_space.md); larger ones come closer.
CLOSED_FORM = Spread.within(0.025, "closed form within 2.5 % of timed emulation")

# With an engine of II 3 the closed form is 4 % below timed emulation, of II 2 3 % (tests/report, tests/cost_model).
SLOW_ENGINE = Spread.within(0.06, "an engine II above 1 costs the closed form accuracy")

# python -m benchmarks.clocks --data FOLDER: eight kernels linked by v++ for U50, U250 and U280 reached between 0.77
# (200 -> 154 MHz, 70 % of the block RAM in use) and all of what was asked for. Too few to say what decides it.
CLOCK = Spread(0.77, 1.0, "clock reached: 0.77 to 1 of the one asked for in eight linked kernels", assumed=True)

# Guo et al., AutoBridge (FPGA 2021, abstract): 43 HLS designs on devices of several dies reached 147 MHz on average as
# the tools placed them, and 297 MHz with each process on a die and the streams between dies pipelined. This kernel has
# each process on a die, but FIFOs without registers along the way: it lies between the two.
CROSSED_DIES = Spread(
    147 / 297, 1.0, "the kernel spans dies: 147 MHz to 297 in 43 designs (AutoBridge, 2021)", assumed=True
)


def clock_spread(dies: int) -> Spread:
    """The clock reached over the one asked for, where one copy of the kernel spans so many ``dies``."""
    return CLOCK if dies == 1 else CROSSED_DIES


def _placed(share: Share, basis: str) -> Spread:
    """Of what the count takes, which is the middle of the share."""
    return Spread(share.low / share.middle, share.high / share.middle, basis, assumed=True)


# python -m benchmarks.fit_area --data FOLDER --reports FOLDER: what Vivado leaves of csynth's LUTs and flip-flops in a
# repository that the fit has not seen; 25 of 26 kernels of seven repositories lie inside. Nine repositories would be
# needed to promise nine of ten. The count's operators have csynth's own prices: nine of ten rows of the other reports
# (python -m benchmarks.operator_resources) are met to a LUT. python -m benchmarks.pipeline_registers: the schedules of
# twelve boards' default designs need 0.79 to 1.54 times the registers that the closed form counts.
# DSP slices as counted or fewer. The sides of DSP and memories are assumptions: what the kernel's C++ makes synthesis
# add was never seen.
_REGISTERS = Spread(0.79, 1.54, "registers per operator as twelve schedules have them", assumed=True)
RESOURCES = {
    "lut": _placed(operator_areas().placed_lut, "csynth's prices of operators, as placed in 26 kernels of others"),
    "ff": combine(
        _placed(operator_areas().placed_ff, "csynth's flip-flops as placed in 26 kernels of others"), _REGISTERS
    ),
    "dsp": Spread(0.90, 1.05, "tiles of the multiplications (UG579)", assumed=True),
    "bram36": Spread(0.90, 1.20, "aspect ratios of the buffers (UG573)", assumed=True),
    "uram": Spread(1.00, 1.00, "aspect ratio of the buffers (UG573)", assumed=True),
}

# python -m benchmarks.cost_model --data FOLDER --schedules FOLDER: csynth's counts against what Vivado routed, the
# factor that nine of ten kernels of more than 5000 LUTs lie within, each predicted without its design. That is a share
# of kernels, not of designs: a promise by design would need the worst one's factor (LUTs 3.8), so all are assumed.
ROUTED = {
    "lut": Spread(1 / 1.87, 1.87, "routed LUTs of 13 designs from csynth's counts", assumed=True),
    "ff": Spread(1 / 1.98, 1.98, "routed flip-flops of 13 designs from csynth's counts", assumed=True),
    "dsp": Spread(1 / 1.20, 1.20, "routed DSP slices of 13 designs from csynth's count", assumed=True),
    "bram_18k": Spread(1 / 3.79, 3.79, "routed block RAM of 11 designs from csynth's count", assumed=True),
    "uram": Spread(1 / 2.2, 2.2, "routed UltraRAM of 5 designs from csynth's count", assumed=True),
}
