"""Renders the kernel's C++ from the Jinja2 templates. Templates hold text; every decision is made here or before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib.resources import files

import jinja2

from aebert.design.buffers import BoundBuffer
from aebert.design.fifos import bind_fifos
from aebert.design.hardware_config import (
    BURST_BYTES,
    MAX_LAYERS,
    NEAR_GROUPS,
    OUTSTANDING_BURSTS,
    PROBABILITY_SLOTS,
    HardwareConfig,
    operand_layout,
)
from aebert.design.kernel_records import PARAMETER_BYTES, PASS_BYTES
from aebert.numerics.integers import activation_delta_table, exp_table, inverse_sqrt_seed_table
from aebert.support.errors import AebertError
from aebert.support.input_files import quoted
from codegen.described_kernel import described
from codegen.manifest import TOP

TEMPLATE_SUFFIX = ".j2"


def _load(name: str) -> str | None:
    resource = files("codegen.templates").joinpath(name)
    return resource.read_text(encoding="utf-8") if resource.is_file() else None


def environment(finalize: Callable[[object], object] | None = None) -> jinja2.Environment:
    """Undefined names are errors, and the generated text is not HTML. ``finalize`` sees every value that is put in."""
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
        finalize=finalize,
    )


def one_line(value: object) -> object:
    """What a template puts into C++, Tcl or a configuration must not bring lines of its own."""
    if isinstance(value, str) and not value.isprintable():
        raise AebertError(f"generated text: {quoted(value)} holds a line break or another control character; rename it")
    return value


def render_folder(folder: str, values: Mapping[str, object], left_out: Collection[str] = ()) -> dict[str, str]:
    """Every template of ``templates/<folder>`` but those ``left_out``: file name without the suffix -> text."""
    env = environment(one_line)
    names = sorted(item.name for item in files("codegen.templates").joinpath(folder).iterdir())
    return {
        name.removesuffix(TEMPLATE_SUFFIX): env.get_template(f"{folder}/{name}").render(values)
        for name in names
        if name.endswith(TEMPLATE_SUFFIX) and name.removesuffix(TEMPLATE_SUFFIX) not in left_out
    }


@dataclass(frozen=True)
class Port:
    """One AXI master port of the kernel. ``depth`` is for co-simulation, in words; ``burst`` in beats.

    ``macro`` overrides the depth: co-simulation copies so many words in every transaction, whatever a launch uses, and
    a project's own data are far less than the largest that the design can hold.
    """

    name: str
    bundle: str
    direction: str
    depth: int
    burst: int

    @property
    def constant(self) -> str:
        return "k" + "".join(part.capitalize() for part in self.name.split("_")) + "Depth"

    @property
    def macro(self) -> str:
        return f"AEBERT_{self.name.upper()}_DEPTH"


@dataclass(frozen=True)
class TripCounts:
    """Upper bounds for the synthesis report; they do not change the hardware."""

    passes: int
    program_words: int
    steps: int
    fetches: int
    vectors: int
    vector_words: int
    score_vectors: int
    norm_vectors: int
    output_rows: int
    weight_words: int
    index_words: int
    parameter_words: int
    headers: int
    attended: int


def trip_counts(config: HardwareConfig) -> TripCounts:
    """For the largest encoder of the design, dense, with the most heads it can have and 24 layers."""
    hidden, ffn, groups = config.max_hidden, config.max_ffn, config.max_groups
    heads = max(hidden // config.in_lanes, 1)
    tiles = (4 * hidden * hidden + 2 * hidden * ffn) // (config.in_lanes * config.out_lanes)
    passes = 2 + MAX_LAYERS * (6 + 2 * heads)
    return TripCounts(
        passes=passes,
        program_words=passes * PASS_BYTES // config.word_bytes,
        steps=groups * hidden * ffn // (config.in_lanes * config.out_lanes),
        fetches=hidden * ffn // (config.in_lanes * config.out_lanes),
        vectors=groups * ffn * config.row_slices,
        vector_words=groups * ffn * config.words_per_vector,
        score_vectors=config.length_groups * config.max_length * config.row_slices,
        norm_vectors=groups * hidden * config.row_slices,
        output_rows=groups * ffn,
        weight_words=MAX_LAYERS * tiles * config.in_lanes * config.out_lanes // config.word_bytes,
        index_words=MAX_LAYERS * tiles * config.in_lanes * config.index_bytes // config.word_bytes,
        parameter_words=ffn * PARAMETER_BYTES // config.word_bytes,
        headers=-(-max(hidden, ffn) // (config.out_lanes * config.header_counts)),
        attended=max(config.max_length, hidden) // config.out_lanes,
    )


@dataclass(frozen=True)
class InitiationIntervals:
    """Cycles between iterations of the loops that take a memory word apart into several elements of a stream."""

    weights: int
    indices: int
    parameters: int


def initiation_intervals(config: HardwareConfig) -> InitiationIntervals:
    """One stream element per cycle."""
    return InitiationIntervals(
        weights=config.word_bytes // (config.out_lanes * config.in_lanes),
        indices=config.word_bytes // (config.in_lanes * config.index_bytes),
        parameters=config.word_bytes // PARAMETER_BYTES,
    )


def ports(config: HardwareConfig) -> tuple[Port, ...]:
    """The kernel's memory ports. Bursts are at least 1 KiB and stay inside AXI's 4 KiB page."""
    trips = trip_counts(config)
    burst = BURST_BYTES // config.word_bytes
    # Golden vectors may store every pass: the load, six matmuls, the context and every head's probabilities.
    heads = max(config.max_hidden // config.in_lanes, 1)
    slices = MAX_LAYERS * (7 * trips.norm_vectors + trips.vectors + heads * trips.score_vectors)
    stored_vectors = slices // config.row_slices
    vector_words = trips.norm_vectors // config.row_slices * config.words_per_vector
    return (
        Port("pass_table", "pass_table", "max_read", trips.program_words, burst),
        Port("weights", "weights", "max_read", trips.weight_words, burst),
        Port("indices", "indices", "max_read", trips.index_words, burst),
        Port("parameters", "parameters", "max_read", trips.passes * trips.parameter_words, burst),
        Port("embeddings", "embeddings", "max_read", vector_words, burst),
        Port("results", "results", "max_write", stored_vectors * config.words_per_vector, burst),
    )


def kernel_files(config: HardwareConfig, buffers: tuple[BoundBuffer, ...]) -> dict[str, str]:
    """``kernel/*`` and ``emulation/*`` of a project: relative name -> text."""
    values = described(config) | {
        "config": config,
        "layout": operand_layout(config),
        "probability_slots": PROBABILITY_SLOTS,
        "near_groups": NEAR_GROUPS,
        "many_groups": config.max_groups * config.row_slices > NEAR_GROUPS,
        "many_length_groups": config.length_groups * config.row_slices > NEAR_GROUPS,
        "intervals": initiation_intervals(config),
        "packing": config.packing,
        "top": TOP,
        "fifos": bind_fifos(config),
        "bindings": {bound.buffer.name: bound.primitive for bound in buffers},
        "ports": ports(config),
        "outstanding": OUTSTANDING_BURSTS,
        "tripcount": trip_counts(config),
        "tables": {
            "exp": exp_table().tolist(),
            "gelu_delta": activation_delta_table(config.activation).tolist(),
            "inverse_sqrt_seed": inverse_sqrt_seed_table().tolist(),
        },
    }
    return {
        f"{folder}/{name}": text
        for folder in ("kernel", "emulation")
        for name, text in render_folder(folder, values).items()
    }
