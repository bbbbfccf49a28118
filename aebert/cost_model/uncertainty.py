"""How far predictions may be off where nothing was calibrated. Each figure names the script that prints it.

Of what happens between the closed form and a board, only the clock and the closed form's own error are in here. Whether
synthesis reaches the schedules that the closed form and timed emulation assume, no run has said yet.
"""

from __future__ import annotations

from aebert.cost_model.spread import Spread

# python -m benchmarks.cycles: 224 random launches of at most 40000 cycles (docs/design_space.md); larger come closer.
CLOSED_FORM = Spread.within(0.02, "closed form within 2 % of timed emulation")

# python -m benchmarks.clocks --data FOLDER: eight kernels linked by v++ for U50, U250 and U280 reached between 0.77
# (200 -> 154 MHz, 70 % of the block RAM in use) and all of what was asked for. Too few to say what decides it.
CLOCK = Spread(0.77, 1.0, "clock reached: 0.77 to 1 of the one asked for in eight linked kernels")

# python -m benchmarks.operator_resources --data FOLDER: of three routed BERT kernels the LUTs are 0.48 to 0.63 of what
# csynth counts, where the count here takes 0.65; flip-flops per LUT 1.1 to 1.2, here 1.2 to 1.7; DSP slices as counted
# or fewer. The upper sides are assumptions: what the kernel's C++ makes synthesis add was never seen.
RESOURCES = {
    "lut": Spread(0.70, 1.30, "operators fitted to csynth reports, 0.48 to 0.63 of their LUTs after routing"),
    "ff": Spread(0.60, 1.30, "assumed flip-flops per operator"),
    "dsp": Spread(0.90, 1.05, "tiles of the multiplications (UG579)"),
    "bram36": Spread(0.90, 1.20, "aspect ratios of the buffers (UG573)"),
    "uram": Spread(1.00, 1.00, "aspect ratio of the buffers (UG573)"),
}
