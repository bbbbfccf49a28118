"""Files checked against the type that they are to be, by pydantic: the first thing that does not fit is one line.

JSON and TOML alike, from files and from what a database keeps. A table is a dataclass or a `FileTable`, a list a list.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from aebert.support.errors import AebertError
from aebert.support.input_files import quoted, read_input
from aebert.support.plain_text import is_plain

T = TypeVar("T")

LARGEST_CHECKED = 64 << 20
_KINDS = {
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "int_type": "must be a whole number",
    "string_type": "must be a string",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dataclass_type": "must be a table",
    "dict_type": "must be a table",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
}


class FileTable(BaseModel):
    """A table of a file: every field is known, and of its type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _plain(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("text", "must be a non-empty string")
    if not is_plain(text):
        raise PydanticCustomError("text", "must not hold a line break or another control character")
    return text


# Printable, because it may come to stand in a line of generated text.
PlainText = Annotated[str, AfterValidator(_plain)]


def between(low: float, high: float) -> AfterValidator:
    """A number from ``low`` to ``high``, both included."""

    def check(value: float) -> float:
        if not low <= value <= high:
            raise PydanticCustomError("range", "must lie in {range}", {"range": f"{low:.9g}..{high:.9g}"})
        return value

    return AfterValidator(check)


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def parse_json(kind: type[T], content: str | bytes, source: Path | str, remedy: str) -> T:
    """``content`` as a ``kind``. Raises AebertError: ``source``: the first field that is wrong, and how; ``remedy``."""
    try:
        value: T = _adapter(cast(Hashable, kind)).validate_json(content, strict=True)
    except ValidationError as error:
        raise AebertError(f"{source}: {first_fault(error)}; {remedy}") from None
    return value


def read_json(kind: type[T], path: Path, remedy: str, limit: int = LARGEST_CHECKED) -> T:
    """The file at ``path`` as a ``kind``. Raises AebertError as `parse_json`, and where it cannot be read."""
    return parse_json(kind, read_input(path, limit, remedy), path, remedy)


def check_fields(kind: type[T], fields: Mapping[str, object], source: str) -> T:
    """A table that has been read, as a ``kind``. Raises AebertError: ``source``: the first field that is wrong."""
    try:
        value: T = _adapter(cast(Hashable, kind)).validate_python(fields, strict=True)
    except ValidationError as error:
        raise AebertError(f"{source}: {first_fault(error)}") from None
    return value


def first_fault(error: ValidationError) -> str:
    """The first thing wrong, with its field's full name, such as ``memory.bank[0].slr``."""
    faults = error.errors(include_url=False)
    first = faults[0]
    *above, name = first["loc"] or ("",)
    if first["type"] == "json_invalid":
        return f"not valid JSON ({first['ctx']['error']})"
    if first["type"] == "missing":
        # A misspelt name leaves the right one missing: that is what the reader has to mend.
        unknown = [str(each["loc"][-1]) for each in faults if _is_unknown(each) and [*each["loc"][:-1]] == above]
        near = get_close_matches(str(name), unknown, n=1)
        if near:
            return f"field {_path([*above, near[0]])}: is not known here; did you mean {name}?"
        return f"field {_path(first['loc'])}: is missing; add it"
    return f"{'field ' + _path(first['loc']) if first['loc'] else 'the file'}: {_problem(first)}"


def _is_unknown(fault: ErrorDetails) -> bool:
    return fault["type"] in ("extra_forbidden", "unexpected_keyword_argument")


def _problem(fault: ErrorDetails) -> str:
    if _is_unknown(fault):
        return "is not known here; remove it or mend its spelling"
    if fault["type"] == "literal_error":
        choices = str(fault["ctx"]["expected"]).replace(" or ", ", ").replace("'", "")
        return f"must be one of {choices}, not {quoted(fault['input'])}"
    if fault["type"] in _KINDS:
        return f"{_KINDS[fault['type']]}, not {quoted(fault['input'])}"
    return f"{fault['msg'][:1].lower()}{fault['msg'][1:]}, not {quoted(fault['input'])}"


def _path(place: Sequence[int | str]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".")
