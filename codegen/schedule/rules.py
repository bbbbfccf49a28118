"""What Vitis HLS does besides honouring dependences: each rule by name, so that a benchmark can switch it off.

The evidence of each is in docs/scheduling.md; it comes from schedule reports of Vivado HLS 2018.3 to Vitis HLS 2025.2.
"""

from __future__ import annotations

from dataclasses import dataclass

# The version from which some rules are others; versions compare as text.
VITIS_2024 = "2024"


@dataclass(frozen=True)
class Rules:
    """The rules of the tool; all on is Vitis HLS."""

    # Accesses of streams and ports stand in the state after the tests that guard them, calls after the exit test.
    access_after_tests: bool = True
    # HLS 200-878: the exit test is evaluated in the first II cycles.
    exit_test_in_first_interval: bool = True
    # A memory is read by the next iteration at the earliest in the cycle after the last store.
    load_after_store: bool = True
    # A register may be read by the next iteration in the very cycle in which it is written, past its multiplexer.
    register_bypass: bool = True
    # What is read past its register comes behind the value, unless an operator of several cycles takes it directly or
    # an II was asked for.
    bypass_behind_value: bool = True
    # Accesses under predicates that exclude each other share a port.
    exclusive_accesses_share_port: bool = True
    # A register of more than 32 bits is not read in the state in which it is initialised.
    wide_register_read_late: bool = True
    # Where the tool made a function of the loop, so for all registers together: if they have more than 32 bits and the
    # depth would grow without them in the first state, the loop begins in the second. Not if it has but one state.
    one_word_in_first_state: bool = True
    # From 2024: the multiplexer of a register's initial value stands in front of the first state's read of it.
    initial_store_chained: bool = True
    # Predicates are chained into the enables of stores and stream accesses.
    guards_chained: bool = True
    # A stream's data comes from its clock: what decides whether it is read is not in front of its data.
    read_data_from_clock: bool = True
    # An AXI port answers in the order of its requests.
    axi_in_order: bool = True
    # A multiplier of several cycles takes what a stream gives in the state after the read.
    multiplier_after_read: bool = True
    # A slice takes the product of another in the state after it; in Vivado HLS a sum in logic does too.
    slice_after_slice: bool = True
    # A loop begins an iteration at most as often as a function it calls.
    callee_interval: bool = True


VITIS = Rules()
