"""Renders the kernel's C++ from the Jinja2 templates. Templates hold text; every decision is made here or before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

import jinja2

from aebert.design.buffers import BoundBuffer
from aebert.design.config import (
    BURST_BYTES,
    HELD_SCORES_SLACK,
    OUTSTANDING_BURSTS,
    PARAMETER_BYTES,
    PASS_BYTES,
    PORT_LATENCY_CYCLES,
    PROBABILITY_SLOTS,
    SETTLE_ITERATIONS,
    HardwareConfig,
    operand_layout,
)
from aebert.numerics import exp_table, gelu_delta_table, inverse_sqrt_seed_table

TOP = "aebert_kernel"
TEMPLATE_SUFFIX = ".j2"


def _load(name: str) -> str | None:
    resource = files("codegen.templates").joinpath(name)
    return resource.read_text(encoding="utf-8") if resource.is_file() else None


def environment() -> jinja2.Environment:
    """Undefined names are errors, and the generated text is not HTML."""
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_load),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # "{#" is C++ (an initialiser that begins with a stringised macro argument).
        comment_start_string="[#--",
        comment_end_string="--#]",
        autoescape=False,
    )


def render_folder(folder: str, values: Mapping[str, object]) -> dict[str, str]:
    """Every template of ``templates/<folder>``: file name without the suffix -> text."""
    env = environment()
    names = sorted(item.name for item in files("codegen.templates").joinpath(folder).iterdir())
    return {
        name.removesuffix(TEMPLATE_SUFFIX): env.get_template(f"{folder}/{name}").render(values)
        for name in names
        if name.endswith(TEMPLATE_SUFFIX)
    }


@dataclass(frozen=True)
class Port:
    """One AXI master port of the kernel. ``depth`` is for co-simulation, in words; ``burst`` in beats."""

    name: str
    bundle: str
    direction: str
    depth: int
    burst: int


@dataclass(frozen=True)
class TripCounts:
    """Upper bounds for the synthesis report; they do not change the hardware."""

    passes: int
    steps: int
    vectors: int
    score_vectors: int
    norm_vectors: int
    weight_words: int
    index_words: int
    parameter_words: int
    row_groups: int


MAX_LAYERS = 24


def trip_counts(config: HardwareConfig) -> TripCounts:
    """For the largest encoder of the design, dense, with the most heads it can have and 24 layers."""
    hidden, ffn, groups = config.max_hidden, config.max_ffn, config.max_groups
    heads = max(hidden // config.in_lanes, 1)
    tiles = (4 * hidden * hidden + 2 * hidden * ffn) // (config.in_lanes * config.out_lanes)
    return TripCounts(
        passes=2 + MAX_LAYERS * (6 + 2 * heads),
        steps=groups * hidden * ffn // (config.in_lanes * config.out_lanes),
        vectors=groups * ffn,
        score_vectors=config.length_groups * config.max_length,
        norm_vectors=groups * hidden,
        weight_words=MAX_LAYERS * tiles * config.in_lanes * config.out_lanes // config.word_bytes,
        index_words=MAX_LAYERS * tiles * config.in_lanes * config.index_bytes // config.word_bytes,
        parameter_words=ffn * 16 // config.word_bytes,
        row_groups=MAX_LAYERS * (5 * hidden + ffn) // config.out_lanes,
    )


@dataclass(frozen=True)
class InitiationIntervals:
    """Cycles between iterations of the loops that take a memory word apart or put one together."""

    program: int
    weights: int
    indices: int
    parameters: int
    vectors: int


def initiation_intervals(config: HardwareConfig) -> InitiationIntervals:
    """One stream element per cycle, or one memory word per cycle, whichever is slower."""
    return InitiationIntervals(
        program=PASS_BYTES // config.word_bytes,
        weights=config.word_bytes // (config.out_lanes * config.in_lanes),
        indices=config.word_bytes // (config.in_lanes * config.index_bytes),
        parameters=config.word_bytes // PARAMETER_BYTES,
        vectors=config.words_per_vector,
    )


def ports(config: HardwareConfig) -> tuple[Port, ...]:
    """The kernel's memory ports. Bursts are at least 1 KiB and stay inside AXI's 4 KiB page."""
    trips = trip_counts(config)
    burst = BURST_BYTES // config.word_bytes
    # Golden vectors may store every pass: the load, six matmuls, the context and every head's probabilities.
    heads = max(config.max_hidden // config.in_lanes, 1)
    stored_vectors = MAX_LAYERS * (7 * trips.norm_vectors + trips.vectors + heads * trips.score_vectors)
    vector_words = trips.norm_vectors * config.words_per_vector
    return (
        Port("program", "program", "max_read", trips.passes * 64 // config.word_bytes, burst),
        Port("weights", "weights", "max_read", trips.weight_words, burst),
        Port("indices", "indices", "max_read", trips.index_words, burst),
        Port("parameters", "parameters", "max_read", trips.passes * trips.parameter_words, burst),
        Port("input", "input", "max_read", vector_words, burst),
        Port("output", "output", "max_write", stored_vectors * config.words_per_vector, burst),
    )


def kernel_files(config: HardwareConfig, buffers: tuple[BoundBuffer, ...]) -> dict[str, str]:
    """``kernel/*`` and ``emulation/*`` of a project: relative name -> text."""
    values: dict[str, object] = {
        "config": config,
        "layout": operand_layout(config),
        "probability_slots": PROBABILITY_SLOTS,
        "held_scores_slack": HELD_SCORES_SLACK,
        "settle": SETTLE_ITERATIONS,
        "intervals": initiation_intervals(config),
        "packing": config.packing,
        "top": TOP,
        "bindings": {bound.buffer.name: bound.primitive for bound in buffers},
        "ports": ports(config),
        "port_latency": PORT_LATENCY_CYCLES,
        "outstanding": OUTSTANDING_BURSTS,
        "tripcount": trip_counts(config),
        "tables": {
            "exp": exp_table().tolist(),
            "gelu_delta": gelu_delta_table().tolist(),
            "inverse_sqrt_seed": inverse_sqrt_seed_table().tolist(),
        },
    }
    return {
        f"{folder}/{name}": text
        for folder in ("kernel", "emulation")
        for name, text in render_folder(folder, values).items()
    }
