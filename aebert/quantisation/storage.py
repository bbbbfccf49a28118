"""A quantised encoder on disk: a directory of ``quantised.safetensors`` (arrays) and ``quantised.json`` (scalars)."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict
from safetensors.numpy import load_file, save_file

from aebert.numerics.integers import NUMERICS_VERSION
from aebert.numerics.quantised import QuantisedEncoder
from aebert.quantisation.contract_limits import check_contract
from aebert.quantisation.flat_tensors import EncoderHeader, assemble, header_of, tensors_of
from aebert.support.atomic_files import write_text, writing
from aebert.support.checked_files import read_json
from aebert.support.errors import AebertError
from aebert.support.input_files import check_regular, foreign, reason
from aebert.support.output_directory import replaced_directory

SCHEMA_VERSION = 1
TENSORS_FILE = "quantised.safetensors"
HEADER_FILE = "quantised.json"
# A few hundred bytes per layer.
_LARGEST_HEADER = 16 << 20
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
    with replaced_directory(directory, HEADER_FILE, "quantised encoder", force=False) as temporary:
        with writing(temporary / TENSORS_FILE):
            save_file(tensors_of(encoder), temporary / TENSORS_FILE)
        write_text(temporary / HEADER_FILE, header.model_dump_json(indent=1) + "\n")


def load_quantised(directory: Path | str) -> QuantisedEncoder:
    """What ``save_quantised`` wrote, its digest and ranges checked.

    Raises AebertError for files that are absent, damaged, of another version or not what was written.
    """
    directory = Path(directory)
    header = read_json(_Header, directory / HEADER_FILE, _AGAIN, _LARGEST_HEADER)
    if header.schema_version != SCHEMA_VERSION or header.encoder.numerics_version != NUMERICS_VERSION:
        raise AebertError(
            f"{directory / HEADER_FILE}: schema {header.schema_version}, numerics {header.encoder.numerics_version}; "
            f"this toolkit reads {SCHEMA_VERSION} and {NUMERICS_VERSION}; {_AGAIN}"
        )
    path = directory / TENSORS_FILE
    if not path.exists():
        raise AebertError(f"{path}: missing; {_AGAIN}")
    check_regular(path, _AGAIN)
    with foreign(path, "damaged", _AGAIN):
        tensors = load_file(path)
    try:
        encoder = assemble(header.encoder, tensors)
    except KeyError as error:
        raise AebertError(f"{path}: tensor {error} is missing; {_AGAIN}") from None
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise AebertError(f"{path}: tensors do not fit {HEADER_FILE} ({reason(error)}); {_AGAIN}") from None
    if encoder.digest != header.digest or len(tensors) != len(tensors_of(encoder)):
        raise AebertError(f"{directory}: contents do not match the digest in {HEADER_FILE}; {_AGAIN}")
    check_contract(encoder)
    return encoder
