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

from aebert.calibration import Text
from aebert.design.program import Program
from aebert.errors import AebertError
from aebert.models.host import HostModel, load_host_model
from aebert.reference import from_residual, to_residual
from codegen.project import Project, load_project
from codegen.vectors import Int16Array, split_output
from host.accelerator import SLOTS, Accelerator, PreparedLaunch
from host.faults import DeviceFault
from host.open import open_accelerator

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
        self.faults: list[str] = []
        self._accelerator = connect()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="aebert-device")

    def __enter__(self) -> AcceleratedModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the device back."""
        self._worker.shutdown()
        self._accelerator.device.close()

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

        Tokens whose mask is 0 are not sent to the device; their hidden states come back as zeros. Short sequences share
        a launch. While the device works on one launch, the host embeds the next.
        """
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
        """Sentence embeddings, float32 [texts, hidden]: the mean over each text's tokens, scaled to length 1."""
        states, kept = self._encode_texts(texts)
        means = states.sum(dim=1) / kept.sum(dim=1, keepdim=True)
        return torch.nn.functional.normalize(means, dim=1)

    def logits(self, texts: Sequence[Text]) -> torch.Tensor:
        """Of the classification head, float32 [texts, labels]. Raises AebertError when the model has none."""
        if not self.host.has_classifier:
            raise AebertError(f"{self.host.directory}: no sequence-classification head; ask for embeddings instead")
        return self.host.logits(self._encode_texts(texts)[0])

    def transformers_model(self) -> PreTrainedModel:
        """The model as transformers knows it, for its pipelines, with the encoder on the device."""
        from host.transformers_model import with_device_encoder

        return with_device_encoder(self)

    def _encode_texts(self, texts: Sequence[Text]) -> tuple[torch.Tensor, torch.Tensor]:
        tokenised = self.host.tokenise(texts, max_tokens=self._config.max_length)
        longest = max(map(len, tokenised))
        ids = torch.full((len(texts), longest), self.tokenizer.pad_token_id or 0)
        types = torch.zeros_like(ids)
        kept = torch.zeros_like(ids)
        for row, text in enumerate(tokenised):
            ids[row, : len(text)] = torch.tensor(text.ids)
            types[row, : len(text)] = torch.tensor(text.types)
            kept[row, : len(text)] = 1
        return self.encode(ids, kept, types), kept

    def _encode(self, kept: torch.Tensor, embed: Callable[[tuple[int, ...]], torch.Tensor]) -> torch.Tensor:
        lengths = [int(count) for count in kept.sum(dim=1)]
        for row, length in enumerate(lengths):
            if not 0 < length <= self._config.max_length:
                raise AebertError(
                    f"sequence {row}: {length} tokens, the design takes 1 to {self._config.max_length}; truncate it"
                )
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
        self.faults.append(str(fault))
        LOGGER.warning("%s; opening the device again", fault)
        self._accelerator.device.close()
        try:
            self._accelerator = self._connect()
        except DeviceFault as again:
            raise DeviceFault(f"{fault}; then, when it was opened again: {again}") from None
        if final:
            raise fault


def load(project: Path | str, device: str = "emulator", *, guarded: bool = False) -> AcceleratedModel:
    """The model of a generated project on ``device``; names as in `host.open.open_device`.

    The device has passed a known-answer test when this returns. ``guarded``: every launch is checked; see
    `Accelerator`. Raises AebertError for a folder that is no project, and when the device cannot be had.
    """
    loaded = load_project(project)
    return AcceleratedModel(loaded, lambda: open_accelerator(loaded, device, known_answer=True, guarded=guarded))
