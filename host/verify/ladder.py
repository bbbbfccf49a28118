"""Climbs the ladder for one project on one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from aebert.models import load_encoder
from aebert.models.encoder import Encoder, FloatArray
from aebert.models.fp32_forward import layer_forward
from aebert.models.host_model import HostModel, load_host_model
from aebert.models.packed_sequences import PackedStates, pack
from aebert.models.text import Text, TokenisedText
from aebert.numerics.quantised import QuantisedEncoder
from aebert.numerics.reference import to_residual
from aebert.quantisation.error_report import EncoderError, measure_error
from aebert.quantisation.tolerance import check_tolerance
from aebert.support.errors import AebertError
from aebert.support.progress import Progress, no_progress
from codegen.memory_image import removed_heads
from codegen.project import Project
from host.devices.accelerator import Accelerator
from host.verify.compare import SequenceComparison, compare_sequence
from host.verify.task import TaskCheck

# fp32 against fp32: only the order of additions differs.
SAME_MODEL_TOLERANCE = 1e-3
SHORT_LENGTH = 17


@dataclass(frozen=True)
class Rung:
    """One check: what was compared, whether it holds, and the figures in one sentence."""

    name: str
    passed: bool
    summary: str


@dataclass(frozen=True)
class Verification:
    """Everything that `verify` found. ``device`` names what ran L2 (emulator) or L4 (board); ``tasks``, if any."""

    project: str
    device: str
    rungs: tuple[Rung, ...]
    comparisons: tuple[SequenceComparison, ...]
    error: EncoderError
    tasks: tuple[TaskCheck, ...] = ()

    @property
    def passed(self) -> bool:
        return all(rung.passed for rung in self.rungs)


def verify_project(
    project: Project,
    accelerator: Accelerator,
    texts: Sequence[Text],
    lengths: Sequence[int] | None = None,
    progress: Progress = no_progress,
) -> Verification:
    """All rungs: files, L0 (fp32), L0 ~ L1 (quantisation error on ``texts``), L1 = device (bits) at ``lengths``.

    ``lengths`` defaults to the design's longest sequence, a short one and a single token.
    Raises AebertError when the project's model does not belong to it.
    """
    config = project.manifest.config
    encoder = load_encoder(project.model_directory)
    if encoder.digest != project.manifest.subnet_digest:
        raise AebertError(
            f"{project.model_directory}: not the subnet that the project was generated from; generate the project again"
        )
    model = load_host_model(project.model_directory)
    longest = min(config.max_length, encoder.shape.max_positions)
    tokenised = model.tokenise(texts, max_tokens=longest)
    embedded = model.embed_texts(tokenised)
    progress("fp32 against integers", 0, 1)
    error = measure_error(encoder, project.quantised, embedded, model.sentence)
    progress("fp32 against integers", 1, 1)
    sequence = long_sequence(model, texts, longest)
    wanted = tuple(lengths or sorted({longest, min(SHORT_LENGTH, longest), 1}, reverse=True))
    residual = to_residual(sequence, project.quantised.input_scale)
    comparisons: list[SequenceComparison] = []
    for length in wanted:
        progress("integers against device", len(comparisons), len(wanted))
        comparisons.append(compare_sequence(accelerator, project.quantised, residual[:length]))
    progress("integers against device", len(wanted), len(wanted))
    rungs = (
        _files_rung(project),
        _model_rung(model, encoder, tokenised),
        _quantisation_rung(error),
        *(_bits_rung(accelerator.device.name, comparison, project.quantised) for comparison in comparisons),
    )
    return Verification(project.directory.name, accelerator.device.name, rungs, tuple(comparisons), error)


def with_tasks(verification: Verification, checks: Sequence[TaskCheck]) -> Verification:
    """The verification with two rungs more for each development set: the bits of its sequences, and its metric."""
    rungs = [rung for check in checks for rung in (_task_bits_rung(check), _metric_rung(check))]
    return replace(verification, rungs=(*verification.rungs, *rungs), tasks=tuple(checks))


def long_sequence(model: HostModel, texts: Sequence[Text], length: int) -> FloatArray:
    """Embeddings of exactly ``length`` tokens, float32 [length, hidden], of as many of ``texts`` as it takes."""
    words = " ".join(text if isinstance(text, str) else " ".join(text) for text in texts)
    (tokens,) = model.tokenise([words], max_tokens=length)
    if len(tokens) < length:
        raise AebertError(f"verification text: {len(tokens)} tokens in all, {length} are needed; give more text")
    embedded: FloatArray = model.embed_texts([tokens]).values.numpy()
    return embedded


def _files_rung(project: Project) -> Rung:
    trusted = project.trusted_changes
    changed = [name for name in project.changed_files() if name not in trusted]
    total = len(project.manifest.files)
    summary = f"{total} files as generated" if not changed else f"{len(changed)} of {total} changed: {changed[0]}"
    if trusted:
        summary += f"; trusted changes: {', '.join(trusted)}"
    return Rung("files", not changed, summary)


def _model_rung(model: HostModel, encoder: Encoder, tokenised: Sequence[TokenisedText]) -> Rung:
    """The typed encoder's forward against transformers' own, on the longest of the texts."""
    longest = max(tokenised, key=len)
    with torch.inference_mode():
        expected = model.base(input_ids=torch.tensor([longest.ids])).last_hidden_state[0]
    states: PackedStates = pack([model.embed(torch.tensor([longest.ids]))[0]])
    for layer in encoder.layers:
        states = layer_forward(layer, encoder.shape, states)
    difference = float((states.values - expected).abs().max())
    return Rung(
        "L0 transformers = typed encoder",
        difference <= SAME_MODEL_TOLERANCE,
        f"largest difference {difference:.1e} over {len(longest)} tokens (at most {SAME_MODEL_TOLERANCE:g})",
    )


def _quantisation_rung(error: EncoderError) -> Rung:
    verdict = check_tolerance(error)
    broken = [check for check in verdict.checks if not check.passed]
    if broken:
        first = broken[0]
        summary = (
            f"{first.name} is {first.measured:.4f}, the limit {first.limit:g} ({len(broken)} figures out of limits)"
        )
    else:
        cosine = min(layer.cosine for layer in error.layers)
        relative = max(layer.relative_error for layer in error.layers)
        summary = (
            f"hidden states: lowest cosine {cosine:.5f}, largest relative error {relative:.4f}; "
            f"embeddings: cosine {error.embedding_cosine:.5f}; {_by_length(error)}"
        )
    return Rung("L0 ~ L1 integer reference", verdict.passed, summary)


def _by_length(error: EncoderError) -> str:
    """The relative error by the tokens of a text: short ones, with little to average over, are worst."""
    parts = [
        f"{each.shortest if each.shortest == each.longest else f'{each.shortest}-{each.longest}'}: "
        f"{each.relative_error:.4f}"
        for each in error.by_length
    ]
    return f"relative error by tokens {', '.join(parts)}"


def _bits_rung(device: str, comparison: SequenceComparison, quantised: QuantisedEncoder) -> Rung:
    tokens = f"{comparison.length} token" + ("s" if comparison.length > 1 else "")
    if comparison.mismatch is None:
        equal = f"{comparison.values} values of {comparison.passes} passes equal"
        summary = "; ".join(filter(None, (equal, removed_heads(quantised))))
    else:
        summary = str(comparison.mismatch)
    return Rung(f"L1 = {device}, {tokens}", comparison.mismatch is None, summary)


def _task_bits_rung(check: TaskCheck) -> Rung:
    total, different = len(check.sequences), check.different
    if different:
        first = different[0]
        summary = (
            f"{len(different)} of {total} sequences differ; row {first.row} ({first.length} tokens), {first.difference}"
        )
    else:
        lengths = [sequence.length for sequence in check.sequences]
        summary = f"{total} sequences of {min(lengths)} to {max(lengths)} tokens equal"
    return Rung(f"{check.task} {check.rows_of}: L1 = {check.device}", not different, summary)


def _metric_rung(check: TaskCheck) -> Rung:
    device, fp32 = check.metrics[check.primary], check.fp32[check.primary]
    return Rung(
        f"{check.task} {check.rows_of}: {check.primary}",
        check.loss_points <= check.allowed_points,
        f"{device:.4f} on {check.device}, {fp32:.4f} in PyTorch: {check.loss_points:.2f} points lost "
        f"(at most {check.allowed_points:g})",
    )
