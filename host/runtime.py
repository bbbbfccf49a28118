"""What takes the place of an encoder in somebody's program: batches of tokens in, hidden states out."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import torch

from aebert.design.program import Program
from aebert.models.host_model import HostModel, load_host_model
from aebert.models.text import Text
from aebert.numerics.reference import from_residual, to_residual
from aebert.support.errors import AebertError
from codegen.project import Project, load_project
from codegen.vector_order import Int16Array, split_output
from host.devices.accelerator import SLOTS, Accelerator, PreparedLaunch
from host.devices.faults import DeviceFault
from host.devices.open import open_accelerator
from host.model_inputs import check_ids, check_texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LOGGER = logging.getLogger("aebert.device")
# After a fault the device is opened anew and the launch done again, so often for one launch.
ATTEMPTS = 2


@dataclass(frozen=True)
class Launching:
    """A launch under way, with what it takes to do it again. ``prepared`` is for ``accelerator`` and no other."""

    program: Program
    residuals: tuple[Int16Array, ...]
    accelerator: Accelerator
    prepared: PreparedLaunch | None


def share_launches(lengths: Sequence[int], groups: Callable[[int], int], max_groups: int) -> list[tuple[int, ...]]:
    """Sequences to launches, first fit by falling length; a launch holds at most ``max_groups`` token groups."""
    launches: list[list[int]] = []
    room: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        need = groups(lengths[row])
        for number, free in enumerate(room):
            if need <= free:
                launches[number].append(row)
                room[number] -= need
                break
        else:
            launches.append([row])
            room.append(max_groups - need)
    return [tuple(sorted(rows)) for rows in launches]


class AcceleratedModel:
    """A project's model with its encoder on a device; embeddings, pooler and head run in PyTorch on the host.

    ``connect`` opens the device and makes the subnet resident on it. When the device fails in mid-run, it is opened
    anew and the launch is repeated; ``faults`` keeps what happened. Raises AebertError for sequences that the design
    cannot hold, and DeviceFault when the device fails again. To be used by one thread at a time.
    """

    def __init__(self, project: Project, connect: Callable[[], Accelerator]) -> None:
        self._project = project
        self._config = project.manifest.config
        self._connect = connect
        self.host: HostModel = load_host_model(project.model_directory)
        # So that pipelines and tokenizer(..., truncation=True) cut where the design does.
        tokenizer = self.host.tokenizer
        tokenizer.model_max_length = min(tokenizer.model_max_length, self._config.max_length)
        self.faults: list[str] = []
        self._aborted = False
        self._accelerator = connect()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="aebert-device")

    def __enter__(self) -> AcceleratedModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Between two checks of the resident weights an answer may rest on wrong ones: not beyond this point.
        try:
            if kind is None:
                self._accelerator.check_resident()
        finally:
            self.close()

    def close(self) -> None:
        """Gives the device back."""
        self._worker.shutdown()
        self._accelerator.device.close()

    def abort(self) -> None:
        """Ends at once what is under way, without another attempt; afterwards there is only ``close``."""
        self._aborted = True
        self._accelerator.device.abort()

    @property
    def project(self) -> Project:
        return self._project

    @property
    def accelerator(self) -> Accelerator:
        """The one in use; another one after a fault."""
        return self._accelerator

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.host.tokenizer

    def encode(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Last hidden states, float32 [sequences, tokens, hidden], of int64 [sequences, tokens] inputs.

        Raises AebertError for token numbers that the model has no row for, shapes that differ and rows without a token.
        Tokens whose mask is 0 are not sent to the device; their hidden states come back as zeros. Short sequences share
        a launch. While the device works on one launch, the host embeds the next.
        """
        check_ids("input_ids", input_ids, self.host.vocabulary)
        if token_type_ids is not None:
            check_ids("token_type_ids", token_type_ids, max(self.host.types, 2), like=input_ids)
        kept = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        if kept.shape != input_ids.shape:
            raise AebertError(f"attention_mask: shape {tuple(kept.shape)}, input_ids has {tuple(input_ids.shape)}")

        def embed(rows: tuple[int, ...]) -> torch.Tensor:
            chosen = torch.tensor(rows)
            return self.host.embed(input_ids[chosen], None if token_type_ids is None else token_type_ids[chosen])

        return self._encode(kept, embed)

    def encode_states(self, states: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        """The same from embeddings, float32 [sequences, tokens, hidden], and which tokens are ``kept``, bool."""
        return self._encode(kept, lambda rows: states[torch.tensor(rows)].float())

    def embeddings(self, texts: Sequence[Text]) -> torch.Tensor:
        """Sentence embeddings, float32 [texts, size], as the model's own pooling makes them (sentence-transformers).

        A model that says nothing about pooling: the mean over each text's tokens, scaled to length 1. Raises
        AebertError for anything but a list of texts.
        """
        states, kept = self._encode_texts(texts, self.host.sentence_tokens(self._longest))
        with torch.inference_mode():
            return torch.cat(
                [self.host.sentence.embed(each[None, own]) for each, own in zip(states, kept, strict=True)]
            )

    def logits(self, texts: Sequence[Text]) -> torch.Tensor:
        """Of the classification head, float32 [texts, labels]. Raises AebertError when the model has none."""
        if not self.host.has_classifier:
            raise AebertError(f"{self.host.directory}: no sequence-classification head; ask for embeddings instead")
        return self.host.logits(self._encode_texts(texts, self._longest)[0])

    def transformers_model(self) -> PreTrainedModel:
        """The model as transformers knows it, for its pipelines, with the encoder on the device."""
        from host.transformers_model import with_device_encoder

        return with_device_encoder(self)

    @property
    def _longest(self) -> int:
        """Tokens of the longest sequence that design and model take."""
        return min(self._config.max_length, self.host.max_positions)

    def _encode_texts(self, texts: Sequence[Text], max_tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states [texts, tokens, hidden], and which of the tokens are a text's own, bool."""
        check_texts(texts)
        tokenised = self.host.tokenise(texts, max_tokens=max_tokens)
        longest = max(map(len, tokenised))
        ids = torch.full((len(texts), longest), self.tokenizer.pad_token_id or 0)
        types = torch.zeros_like(ids)
        kept = torch.zeros_like(ids)
        for row, text in enumerate(tokenised):
            ids[row, : len(text)] = torch.tensor(text.ids)
            types[row, : len(text)] = torch.tensor(text.types)
            kept[row, : len(text)] = 1
        return self.encode(ids, kept, types), kept.bool()

    def _encode(self, kept: torch.Tensor, embed: Callable[[tuple[int, ...]], torch.Tensor]) -> torch.Tensor:
        lengths = [int(count) for count in kept.sum(dim=1)]
        longest = self._longest
        for row, length in enumerate(lengths):
            if not length:
                raise AebertError(f"sequence {row}: attention_mask keeps no token; leave the row out")
            if length > longest:
                raise AebertError(f"sequence {row}: {length} tokens, design and model take 1 to {longest}; truncate it")
        result = torch.zeros(*kept.shape, self._project.manifest.shape.hidden)
        launches = share_launches(lengths, self._config.groups, self._config.max_groups)
        for rows, outputs in self._run_overlapped(self._embedded(launches, kept, embed)):
            for row, output in zip(rows, outputs, strict=True):
                states = from_residual(output, self._project.quantised.output_scale)
                result[row, kept[row]] = torch.from_numpy(states)
        return result

    def _embedded(
        self,
        launches: Iterable[tuple[int, ...]],
        kept: torch.Tensor,
        embed: Callable[[tuple[int, ...]], torch.Tensor],
    ) -> Iterator[tuple[tuple[int, ...], tuple[Int16Array, ...]]]:
        scale = self._project.quantised.input_scale
        for rows in launches:
            states = embed(rows)
            yield rows, tuple(to_residual(states[i][kept[row]].numpy(), scale) for i, row in enumerate(rows))

    def _run_overlapped(
        self, launches: Iterable[tuple[tuple[int, ...], tuple[Int16Array, ...]]]
    ) -> Iterator[tuple[tuple[int, ...], list[Int16Array]]]:
        """Runs ``launches`` in their order on the worker thread, one ahead of what was taken."""
        under_way: deque[tuple[tuple[int, ...], Future[list[Int16Array]]]] = deque()
        try:
            for rows, residuals in launches:
                under_way.append((rows, self._worker.submit(self._execute, self._prepare(residuals))))
                if len(under_way) == SLOTS:
                    done, future = under_way.popleft()
                    yield done, future.result()
            while under_way:
                done, future = under_way.popleft()
                yield done, future.result()
        except (KeyboardInterrupt, SystemExit):
            # Whoever presses Ctrl-C does not wait for a device that hangs.
            self.abort()
            raise
        finally:
            # After a failure nothing may be left running: the next call starts with a free device.
            for _, future in under_way:
                future.exception()

    def _prepare(self, residuals: tuple[Int16Array, ...]) -> Launching:
        accelerator = self._accelerator
        program = accelerator.program([len(residual) for residual in residuals])
        try:
            prepared = accelerator.prepare(program, residuals)
        except DeviceFault:
            prepared = None  # the worker is about to find the same fault, and recovers from it
        return Launching(program, residuals, accelerator, prepared)

    def _execute(self, launching: Launching) -> list[Int16Array]:
        program, prepared = launching.program, launching.prepared
        for attempt in range(ATTEMPTS):
            accelerator = self._accelerator
            try:
                # Buffers that were filled before the device was opened again are not its own any more.
                if attempt or prepared is None or accelerator is not launching.accelerator:
                    prepared = accelerator.prepare(program, launching.residuals)
                (last,) = accelerator.stored(program, accelerator.execute(prepared))
            except DeviceFault as fault:
                self._recover(fault, final=attempt == ATTEMPTS - 1)
            else:
                return split_output(self._config, program, last.values)
        raise AssertionError("the last attempt returns or raises")

    def _recover(self, fault: DeviceFault, *, final: bool) -> None:
        """Opens the device anew, which resets it. ``final``: also raises ``fault``."""
        if self._aborted:
            raise fault
        self.faults.append(str(fault))
        LOGGER.warning("%s; opening the device again", fault)
        self._accelerator.device.close()
        try:
            self._accelerator = self._connect()
        except DeviceFault as again:
            raise DeviceFault(f"{fault}; then, when it was opened again: {again}") from None
        if final:
            raise fault


def load(
    project: Path | str, device: str = "emulator", *, guarded: bool = False, trust_changes: bool = False
) -> AcceleratedModel:
    """The model of a generated project on ``device``; names as in `host.devices.open.open_device`.

    The device has passed a known-answer test when this returns. ``guarded``: every launch is checked; see
    `Accelerator`. ``trust_changes``: also sources that are not as generated. Raises AebertError for a folder that is no
    project, and when the device cannot be had.
    """
    loaded = load_project(project, trust_changes=trust_changes)
    return AcceleratedModel(loaded, lambda: open_accelerator(loaded, device, known_answer=True, guarded=guarded))
