"""The names of a classification head's outputs, as config.json tells them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aebert.models.load import model_weights
from aebert.models.model_type import read_config
from aebert.support.errors import AebertError
from aebert.support.input_files import quoted

# transformers makes a name for every label before it looks at the weights.
LARGEST_HEAD = 100_000


def output_names(config: Mapping[str, object], where: Path | str = "config.json") -> tuple[str, ...]:
    """The names of the outputs in order; transformers leaves out of config.json what is its default, two labels.

    Raises AebertError for more than ``LARGEST_HEAD``, and for an `id2label` that does not name each output once.
    """
    names = config.get("id2label")
    count = config.get("num_labels", 2) if names is None else len(names) if isinstance(names, dict) else None
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        field = "num_labels" if names is None else "id2label"
        raise AebertError(f"{where}: field {field!r} is {quoted(config[field])}; save the model again")
    if count > LARGEST_HEAD:
        raise AebertError(f"{where}: {quoted(count)} labels, more than {LARGEST_HEAD}; give a model with fewer")
    if not isinstance(names, dict):
        return tuple(f"LABEL_{number}" for number in range(count))
    ordered = [names.get(str(number)) for number in range(count)]
    if not all(isinstance(name, str | int | float) for name in ordered) or len(set(map(str, ordered))) < count:
        raise AebertError(
            f"{where}: field 'id2label' must name the outputs '0' to '{count - 1}', each differently; mend the file"
        )
    return tuple(str(name) for name in ordered)


def head_classes(directory: Path) -> tuple[str, ...]:
    """The names of the outputs of the model or subnet in ``directory``; none where it has no classification head."""
    _, weights = model_weights(directory)
    return output_names(read_config(directory), directory / "config.json") if weights.has_classifier else ()
