"""A quantised encoder on disk: a directory of ``quantised.safetensors`` (arrays) and ``quantised.json`` (scalars)."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from aebert.errors import AebertError
from aebert.numerics import NUMERICS_VERSION
from aebert.output_directory import replaced_directory
from aebert.quantisation.contract import check_contract
from aebert.quantisation.tensors import EncoderHeader, assemble, header_of, tensors_of
from aebert.quantised import QuantisedEncoder

SCHEMA_VERSION = 1
TENSORS_FILE = "quantised.safetensors"
HEADER_FILE = "quantised.json"
_AGAIN = "quantise the subnet again"


class _Header(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: int
    digest: str
    encoder: EncoderHeader


def save_quantised(encoder: QuantisedEncoder, directory: Path | str) -> None:
    """Write ``directory`` in one step: it is complete or does not exist.

    Raises AebertError where the directory holds anything already or cannot be written.
    """
    directory = Path(directory)
    header = _Header(schema_version=SCHEMA_VERSION, digest=encoder.digest, encoder=header_of(encoder))
    try:
        with replaced_directory(directory, HEADER_FILE, "quantised encoder", force=False) as temporary:
            save_file(tensors_of(encoder), temporary / TENSORS_FILE)
            (temporary / HEADER_FILE).write_text(header.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise AebertError(f"{directory}: cannot be written ({error}); check space and permissions") from None


def _read_header(path: Path) -> _Header:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise AebertError(f"{path}: cannot be read ({reason}); {_AGAIN}") from None
    try:
        return _Header.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "file"
        raise AebertError(f"{path}: {field}: {first['msg']}; {_AGAIN}") from None


def load_quantised(directory: Path | str) -> QuantisedEncoder:
    """What ``save_quantised`` wrote, its digest and ranges checked.

    Raises AebertError for files that are absent, damaged, of another version or not what was written.
    """
    directory = Path(directory)
    header = _read_header(directory / HEADER_FILE)
    if header.schema_version != SCHEMA_VERSION or header.encoder.numerics_version != NUMERICS_VERSION:
        raise AebertError(
            f"{directory / HEADER_FILE}: schema {header.schema_version}, numerics {header.encoder.numerics_version}; "
            f"this toolkit reads {SCHEMA_VERSION} and {NUMERICS_VERSION}; {_AGAIN}"
        )
    path = directory / TENSORS_FILE
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise AebertError(f"{path}: missing; {_AGAIN}") from None
    except (OSError, SafetensorError, KeyError) as error:
        raise AebertError(f"{path}: damaged ({str(error).splitlines()[0]}); {_AGAIN}") from None
    try:
        encoder = assemble(header.encoder, tensors)
    except KeyError as error:
        raise AebertError(f"{path}: tensor {error} is missing; {_AGAIN}") from None
    if encoder.digest != header.digest or len(tensors) != len(tensors_of(encoder)):
        raise AebertError(f"{directory}: contents do not match the digest in {HEADER_FILE}; {_AGAIN}")
    check_contract(encoder)
    return encoder
