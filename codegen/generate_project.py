"""Subnet and design -> project, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aebert.design.board_fit import check_fit
from aebert.design.design import Design
from aebert.design.hardware_config import HardwareConfig
from aebert.design.program import Stored, build_program
from aebert.models.encoder import Encoder, FloatArray
from aebert.models.host_model import HostModel
from aebert.models.text import Text
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import to_residual, trace_encoder
from aebert.quantisation.error_report import attribute_error
from aebert.quantisation.error_sources import error_sources_json
from aebert.quantisation.quantise import quantise_with_scales
from aebert.support.progress import Progress, count_through, no_progress
from codegen.build_plan import BuildPlan
from codegen.golden_vectors import ONE_LAYER_VECTOR, GoldenVector, golden_files, port_depths
from codegen.memory_image import MemoryImage, build_memory_image
from codegen.project import plan_project
from codegen.vector_order import expected_bytes, input_bytes

SHORT_LENGTH = 17
_GOLDEN = 4  # cases of _golden_vectors
# Tokens on which the error is traced to its sources: twelve forward passes of each layer.
BLAME_TOKENS = 256


@dataclass(frozen=True)
class GeneratedProject:
    """The plan, and what went into it."""

    plan: BuildPlan
    design: Design
    quantised: QuantisedEncoder
    image: MemoryImage


def generate_project(
    encoder: Encoder,
    model: HostModel,
    design: Design,
    calibration: Sequence[Text],
    progress: Progress = no_progress,
) -> GeneratedProject:
    """Quantises ``encoder`` on ``calibration`` and plans the project of ``design`` for it.

    ``model`` is the same subnet with its embeddings and tokenizer. Raises AebertError when the design does not fit its
    board or the encoder not the design.
    """
    config = design.config
    config.check_fits(encoder.shape)
    check_fit(config, design.board, design.compute_units)
    tokenised = model.tokenise(calibration, max_tokens=min(config.max_length, encoder.shape.max_positions))
    embedded = model.embed_texts(tokenised)
    made = quantise_with_scales(encoder, embedded, progress=lambda done, total: progress("quantise", done, total))
    result = made.encoder
    blames = attribute_error(
        encoder, made, embedded, lambda done, total: progress("attribute error", done, total), BLAME_TOKENS
    )
    progress("pack", 0, 1)
    image = build_memory_image(result, config)
    progress("pack", 1, 1)
    vectors = list(
        count_through(_golden_vectors(config, result, embedded.values.numpy()), "golden vectors", _GOLDEN, progress)
    )
    golden, depths = golden_files(config, image, vectors), port_depths(config, image, vectors)
    plan = plan_project(design, result, image, golden, depths, error_sources_json(blames), model.directory)
    return GeneratedProject(plan, design, result, image)


def _golden_vectors(config: HardwareConfig, whole: QuantisedEncoder, embedded: FloatArray) -> Iterator[GoldenVector]:
    """The longest sequence with every layer's output; a short one and a single token with every pass's; the short one
    through the first layer alone, for RTL simulation."""
    short = min(SHORT_LENGTH, config.max_length)
    cases: tuple[tuple[str, QuantisedEncoder, int, Stored], ...] = (
        ("longest", whole, config.max_length, "layers"),
        ("short", whole, short, "all"),
        ("single", whole, 1, "all"),
        (ONE_LAYER_VECTOR, _first_layer(whole), short, "all"),
    )
    for name, quantised, length, stored in cases:
        # Tokens of several texts one after another: a golden vector needs the length, not the sense.
        residual = to_residual(np.resize(embedded, (length, embedded.shape[1])), quantised.input_scale)
        program = build_program(config, quantised, [length], stored=stored)
        traces = trace_encoder(quantised, residual)
        counts = None if quantised is whole else build_memory_image(quantised, config).counts
        expected = expected_bytes(config, program, traces, residual)
        yield GoldenVector(name, program, input_bytes(config, program, [residual]), expected, counts)


def _first_layer(quantised: QuantisedEncoder) -> QuantisedEncoder:
    """Its tiles and parameters are the first ones of the whole encoder's memory image."""
    return replace(quantised, shape=replace(quantised.shape, layers=1), layers=quantised.layers[:1])
