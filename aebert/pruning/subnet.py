"""The subnet directory: a valid Hugging Face directory with the pruned weights, plus subnet.json."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from safetensors.numpy import save_file

from aebert.models.companions import copy_companions
from aebert.models.encoder import MATRIX_NAMES, Encoder
from aebert.models.load import load_encoder, model_weights
from aebert.models.model_type import read_config
from aebert.models.weight_files import WEIGHTS_FILE
from aebert.pruning.head_correction import HeadCorrection
from aebert.pruning.zero_patterns import parse_pattern
from aebert.support.atomic_files import write_json, writing
from aebert.support.checked_files import read_json
from aebert.support.errors import AebertError
from aebert.support.output_directory import replaced_directory

SUBNET_FILE = "subnet.json"
SCHEMA_VERSION = 1
FINETUNE_FILE = "finetune.json"  # tells how the weights beside it were fine-tuned, so it does not outlive them
_RATIO_TOLERANCE = 1e-9


@dataclass(frozen=True)
class SubnetRecord:
    """What subnet.json says.

    ``overall_ratio`` and ``matrix_ratios`` (one mapping per layer) are counted from the real zeros. ``source_digest``
    is the dense encoder's digest and ``digest`` the pruned one's; ``compensation`` is none, least-squares or refined.
    ``pruned_digest`` is None, or, where the subnet was fine-tuned, the digest it had before. ``head_correction``: what
    was done to the head's last layer, None where it is the dense model's (or has been fine-tuned since).
    """

    source_digest: str
    digest: str
    pattern: str
    overall_ratio: float
    matrix_ratios: tuple[Mapping[str, float], ...]
    saliency: str
    compensation: str
    seed: int
    scores: Mapping[str, float] = field(default_factory=dict)
    pruned_digest: str | None = None
    head_correction: HeadCorrection | None = None


@dataclass(frozen=True)
class Subnet:
    """A subnet directory that has been read and checked."""

    directory: Path
    encoder: Encoder
    record: SubnetRecord


def zero_counts(encoder: Encoder) -> tuple[dict[str, int], ...]:
    """The number of zero weights of each matrix, one mapping per layer."""
    return tuple(
        {name: int(np.count_nonzero(layer.matrix(name).weight == 0)) for name in MATRIX_NAMES}
        for layer in encoder.layers
    )


def make_record(
    encoder: Encoder,
    source_digest: str,
    pattern: str,
    saliency: str,
    compensation: str,
    seed: int,
    scores: Mapping[str, float],
    head: HeadCorrection | None = None,
) -> SubnetRecord:
    """The record of a pruned encoder, with the ratios counted from its zeros, and of a ``head`` that is corrected."""
    zeros = zero_counts(encoder)
    sizes = {name: encoder.layers[0].matrix(name).weight.size for name in MATRIX_NAMES}
    total = encoder.shape.layers * sum(sizes.values())
    return SubnetRecord(
        source_digest=source_digest,
        digest=encoder.digest,
        pattern=pattern,
        overall_ratio=sum(sum(layer.values()) for layer in zeros) / total,
        matrix_ratios=tuple({name: layer[name] / sizes[name] for name in MATRIX_NAMES} for layer in zeros),
        saliency=saliency,
        compensation=compensation,
        seed=seed,
        scores=dict(scores),
        head_correction=head,
    )


def write_subnet(
    source: Path,
    directory: Path,
    encoder: Encoder,
    record: SubnetRecord,
    force: bool = False,
    documents: Mapping[str, Mapping[str, object]] | None = None,
) -> None:
    """Write ``encoder`` (pruned from the model in ``source``) as ``directory``, complete or not at all.

    The head is that of ``source``, with the record's correction in it where there is one. All floating-point tensors
    are stored as float32. ``documents`` are further JSON files by name. Raises AebertError if ``directory`` exists and
    is not a subnet, or is one and ``force`` is not set.
    """
    config = read_config(source)
    tensors = _pruned_tensors(source, encoder, record.head_correction)
    with replaced_directory(directory, SUBNET_FILE, "subnet", force) as folder:
        copy_companions(source, folder)
        # transformers loads a checkpoint in the type that config.json names.
        stored = {name: value for name, value in config.items() if name not in ("torch_dtype", "dtype")}
        write_json(folder / "config.json", {**stored, "dtype": "float32"})
        with writing(folder / WEIGHTS_FILE):
            save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        for name, content in (documents or {}).items():
            write_json(folder / name, content)
        write_json(folder / SUBNET_FILE, {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(record)})


def _pruned_tensors(source: Path, encoder: Encoder, head: HeadCorrection | None) -> dict[str, npt.NDArray[np.generic]]:
    architecture, weights = model_weights(source)
    prefix = weights.prefix
    tensors = dict(weights.checkpoint.read_all())
    for layer, name, linear in encoder.matrices():
        stem = architecture.matrix_tensor(prefix, layer, name)
        for suffix, array in (("weight", linear.weight), ("bias", linear.bias)):
            tensor = f"{stem}.{suffix}"
            if tensor not in tensors or tensors[tensor].shape != array.shape:
                raise AebertError(f"{source}: tensor {tensor!r} does not fit the pruned encoder; give its own model")
            tensors[tensor] = np.ascontiguousarray(array)
    if head is not None:
        stem = architecture.head_layers[-1]
        corrected = head.of_layer(tensors[f"{stem}.weight"], tensors[f"{stem}.bias"])
        tensors[f"{stem}.weight"], tensors[f"{stem}.bias"] = corrected
    return tensors


def read_subnet(directory: Path | str) -> Subnet:
    """Read a subnet and check it against its record.

    Raises AebertError for anything ``load_encoder`` refuses, a missing or malformed subnet.json, a schema version that
    is not known, weights that are not those the record was written for, or a ratio that the zeros contradict.
    """
    directory = Path(directory)
    if directory.is_dir() and not (directory / SUBNET_FILE).is_file():
        raise AebertError(f"{directory}: no {SUBNET_FILE}, so this is not a subnet; make one with 'aebert prune'")
    encoder = load_encoder(directory)
    record = read_record(directory / SUBNET_FILE)
    if record.digest != encoder.digest:
        raise AebertError(f"{directory}: the weights changed after {SUBNET_FILE} was written; prune the model again")
    zeros = zero_counts(encoder)
    weights = sum(linear.weight.size for _, _, linear in encoder.matrices())
    counted = sum(sum(layer.values()) for layer in zeros) / weights
    if not math.isclose(counted, record.overall_ratio, abs_tol=_RATIO_TOLERANCE):
        raise AebertError(
            f"{directory / SUBNET_FILE}: field 'overall_ratio' is {record.overall_ratio}, "
            f"but {counted} of the weights are zero; prune the model again"
        )
    return Subnet(directory, encoder, record)


class _Head(BaseModel):
    schema_version: object = None


class _StoredRecord(BaseModel):
    """Fields of `SubnetRecord`; others are of later versions and passed over."""

    model_config = ConfigDict(allow_inf_nan=False)

    source_digest: str
    digest: str
    pattern: str
    overall_ratio: float
    matrix_ratios: tuple[dict[str, float], ...]
    saliency: str
    compensation: str
    seed: int
    scores: dict[str, float]
    pruned_digest: str | None = None
    head_correction: HeadCorrection | None = None


def read_record(path: Path) -> SubnetRecord:
    """subnet.json alone. Raises AebertError that names the field."""
    again = "prune the model again"
    head = read_json(_Head, path, again)
    if head.schema_version != SCHEMA_VERSION:
        raise AebertError(
            f"{path}: field 'schema_version' is {head.schema_version!r}, this version reads {SCHEMA_VERSION}; {again}"
        )
    record = read_json(_StoredRecord, path, again)
    fields = {field.name: getattr(record, field.name) for field in dataclasses.fields(SubnetRecord)}
    return SubnetRecord(**{**fields, "pattern": str(parse_pattern(record.pattern))})
