"""The subnet directory: a valid Hugging Face directory with the pruned weights, plus subnet.json."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from aebert.atomic import write_json
from aebert.encoder import MATRIX_NAMES, Encoder
from aebert.errors import AebertError
from aebert.models.checkpoint import INDEX_FILE, WEIGHTS_FILE, open_checkpoint
from aebert.models.config import find_architecture, read_config, read_json_object
from aebert.models.load import load_encoder, tensor_prefix
from aebert.output_directory import replaced_directory
from aebert.pruning.patterns import parse_pattern

SUBNET_FILE = "subnet.json"
SCHEMA_VERSION = 1
# What tokenizers and sentence encoders keep beside the weights; nothing executable is carried along.
_COPIED_SUFFIXES = frozenset({".json", ".txt", ".model"})
FINETUNE_FILE = "finetune.json"  # tells how the weights beside it were fine-tuned, so it does not outlive them
_WRITTEN_HERE = frozenset({"config.json", SUBNET_FILE, FINETUNE_FILE, INDEX_FILE, WEIGHTS_FILE})
_RATIO_TOLERANCE = 1e-9


@dataclass(frozen=True)
class SubnetRecord:
    """What subnet.json says.

    ``overall_ratio`` and ``matrix_ratios`` (one mapping per layer) are counted from the real zeros. ``source_digest``
    is the dense encoder's digest and ``digest`` the pruned one's; ``compensation`` is none, least-squares or refined.
    ``pruned_digest`` is None, or, where the subnet was fine-tuned, the digest it had before.
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
) -> SubnetRecord:
    """The record of a pruned encoder, with the ratios counted from its zeros."""
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

    All floating-point tensors are stored as float32. ``documents`` are further JSON files by name. Raises AebertError
    if ``directory`` exists and is not a subnet, or is one and ``force`` is not set.
    """
    config = read_config(source)
    tensors = _pruned_tensors(source, config, encoder)
    with replaced_directory(directory, SUBNET_FILE, "subnet", force) as folder:
        copy_companions(source, folder)
        # transformers loads a checkpoint in the type that config.json names.
        stored = {name: value for name, value in config.items() if name not in ("torch_dtype", "dtype")}
        write_json(folder / "config.json", {**stored, "dtype": "float32"})
        save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        for name, content in (documents or {}).items():
            write_json(folder / name, content)
        write_json(folder / SUBNET_FILE, {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(record)})


def _pruned_tensors(source: Path, config: Mapping[str, object], encoder: Encoder) -> dict[str, npt.NDArray[np.generic]]:
    architecture = find_architecture(config, source / "config.json")
    checkpoint = open_checkpoint(source)
    prefix = tensor_prefix(checkpoint, architecture)
    tensors = dict(checkpoint.read_all())
    for layer, name, linear in encoder.matrices():
        stem = architecture.matrix_tensor(prefix, layer, name)
        for suffix, array in (("weight", linear.weight), ("bias", linear.bias)):
            tensor = f"{stem}.{suffix}"
            if tensor not in tensors or tensors[tensor].shape != array.shape:
                raise AebertError(f"{source}: tensor {tensor!r} does not fit the pruned encoder; give its own model")
            tensors[tensor] = np.ascontiguousarray(array)
    return tensors


def copy_companions(source: Path, folder: Path) -> None:
    """Copy what lies beside the weights of a model: tokenizer, and pooling of sentence-transformers."""
    for path in sorted(source.iterdir()):
        if path.is_file() and path.suffix in _COPIED_SUFFIXES and path.name not in _WRITTEN_HERE:
            shutil.copyfile(path, folder / path.name)
    for path in sorted(source.glob("*_*/config.json")):  # pooling and normalisation of sentence-transformers
        target = folder / path.parent.name
        target.mkdir()
        shutil.copyfile(path, target / path.name)


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


def read_record(path: Path) -> SubnetRecord:
    """subnet.json alone. Raises AebertError that names the field."""
    content = read_json_object(path)
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise AebertError(
            f"{path}: field 'schema_version' is {version!r}, this version reads {SCHEMA_VERSION}; prune again"
        )
    ratios = content.get("matrix_ratios")
    if not isinstance(ratios, list):
        raise AebertError(f"{path}: field 'matrix_ratios' must be a list with one object per layer")
    seed = content.get("seed")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise AebertError(f"{path}: field 'seed' must be a whole number, found {seed!r}")
    return SubnetRecord(
        source_digest=_text(content, "source_digest", path),
        digest=_text(content, "digest", path),
        pattern=str(parse_pattern(_text(content, "pattern", path))),
        overall_ratio=_numbers({"overall_ratio": content.get("overall_ratio")}, "overall_ratio", path)["overall_ratio"],
        matrix_ratios=tuple(_numbers(layer, f"matrix_ratios[{i}]", path) for i, layer in enumerate(ratios)),
        saliency=_text(content, "saliency", path),
        compensation=_text(content, "compensation", path),
        seed=seed,
        scores=_numbers(content.get("scores"), "scores", path),
        pruned_digest=None if content.get("pruned_digest") is None else _text(content, "pruned_digest", path),
    )


def _text(content: Mapping[str, object], name: str, path: Path) -> str:
    value = content.get(name)
    if not isinstance(value, str):
        raise AebertError(f"{path}: field {name!r} must be text, found {value!r}")
    return value


def _numbers(value: object, name: str, path: Path) -> dict[str, float]:
    if not isinstance(value, dict):
        raise AebertError(f"{path}: field {name!r} must be an object of numbers, found {type(value).__name__}")
    for key, number in value.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            raise AebertError(f"{path}: field {name!r}: {key!r} must be a finite number, found {number!r}")
    return {key: float(number) for key, number in value.items()}
