"""Which columns hold the text and the label: recognised by the names in the header."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from aebert.models.calibration_text import LONGEST_LINE
from aebert.models.text import Text
from aebert.support.errors import AebertError
from aebert.support.whole_number import whole_number
from aebert.tasks.tables import Row, RowTable
from aebert.tasks.task import Example, Task

# Python reads no number of more than 4300 digits; nine hold the number of any class.
_LABEL_DIGITS = 9


@dataclass(frozen=True)
class Columns:
    """The one or two columns of text, and the column of labels."""

    text: tuple[str, ...]
    label: str

    def __post_init__(self) -> None:
        if len(self.text) not in (1, 2):
            raise AebertError(f"text columns {', '.join(self.text)!r}: name one column, or the two of a pair")


_PAIR = Columns(("sentence1", "sentence2"), "label")
_SINGLE = Columns(("sentence",), "label")
_QUESTIONS = ("question1", "question2")
_HYPOTHESIS = ("premise", "hypothesis")

# For each task the columns of the GLUE files, of the Hugging Face data set, and of files with the latter's names.
_LAYOUTS: Mapping[str, tuple[Columns, ...]] = MappingProxyType(
    {
        "cola": (_SINGLE,),
        "sst2": (_SINGLE,),
        "mrpc": (Columns(("#1 String", "#2 String"), "Quality"), _PAIR),
        "qqp": (Columns(_QUESTIONS, "is_duplicate"), Columns(_QUESTIONS, "label"), _PAIR),
        "stsb": (Columns(("sentence1", "sentence2"), "score"), _PAIR),
        "mnli": (Columns(("sentence1", "sentence2"), "gold_label"), Columns(_HYPOTHESIS, "label"), _PAIR),
        "qnli": (Columns(("question", "sentence"), "label"), _PAIR),
        "rte": (_PAIR,),
        "wnli": (_PAIR,),
    }
)
# CoLA's files have no header: source, label, the author's own mark, sentence.
_COLA_FIELDS = ("source", "label", "mark", "sentence")
# A few questions of GLUE's QQP contain a line break, which leaves two rows with too few fields; by custom they are
# left out.
_WITH_BROKEN_ROWS = frozenset({"qqp"})


def find_columns(task: Task, names: Sequence[str], where: str) -> Columns:
    """The columns of a GLUE task among ``names``. Raises AebertError that lists what was looked for."""
    layouts = _LAYOUTS[task.name]
    for columns in layouts:
        # Some copies of the files have the names in another case.
        written = {name.casefold(): name for name in names}
        wanted_names = [name.casefold() for name in (*columns.text, columns.label)]
        if all(name in written for name in wanted_names):
            *text, label = (written[name] for name in wanted_names)
            return Columns(tuple(text), label)
    wanted = " or ".join(", ".join((*columns.text, columns.label)) for columns in layouts)
    found = ", ".join(names)
    raise AebertError(f"{where}: columns of {task.name} not found: expected {wanted}; the header has {found[:200]}")


def glue_examples(task: Task, table: RowTable) -> list[Example]:
    """The examples of a GLUE file in either layout. Raises AebertError that names the file and the line."""
    if task.name == "cola" and _is_cola_row(table.columns):
        table = RowTable(table.path, _COLA_FIELDS, [Row(1, table.columns), *table.rows])
    columns = find_columns(task, table.columns, str(table.path))
    if task.name in _WITH_BROKEN_ROWS:
        whole = [row for row in table.rows if len(row.values) >= len(table.columns)]
        table = RowTable(table.path, table.columns, whole)
    return table_examples(task, table, columns)


def _is_cola_row(values: Sequence[str]) -> bool:
    return len(values) == len(_COLA_FIELDS) and values[1] in ("0", "1")


def table_examples(task: Task, table: RowTable, columns: Columns) -> list[Example]:
    """The example of each row. Raises AebertError for a missing column, a row of another width, or a bad label."""
    numbers = [column_number(table, name) for name in (*columns.text, columns.label)]
    examples = []
    for row in table.rows:
        where = f"{table.path}: line {row.line}"
        # Tabs at the end of a line, that is, are spaces.
        surplus = any(value.strip() for value in row.values[len(table.columns) :])
        if len(row.values) < len(table.columns) or surplus:
            raise AebertError(f"{where}: {len(row.values)} fields, the header has {len(table.columns)}; mend the row")
        *texts, label = (row.values[number] for number in numbers)
        examples.append(Example(make_text(texts, where), parse_label(task, label, where)))
    if not examples:
        raise AebertError(f"{table.path}: no rows below the header; give one row per example")
    return examples


def column_number(table: RowTable, name: str) -> int:
    """The place of the column called ``name``."""
    if name not in table.columns:
        raise AebertError(f"{table.path}: no column {name!r}; there are {', '.join(table.columns)}"[:400])
    if table.columns.count(name) > 1:
        raise AebertError(f"{table.path}: {table.columns.count(name)} columns are called {name!r}; rename one")
    return table.columns.index(name)


def make_text(texts: Sequence[str], where: str) -> Text:
    """A sentence or a pair; QQP has pairs with one empty question, but some text there must be."""
    stripped = [text.strip() for text in texts]
    if not any(stripped):
        raise AebertError(f"{where}: no text; fill the row or leave it out")
    longest = max(map(len, stripped))
    if longest > LONGEST_LINE:
        raise AebertError(f"{where}: text of {longest} characters, more than {LONGEST_LINE}; shorten it")
    return stripped[0] if len(stripped) == 1 else (stripped[0], stripped[1])


def parse_label(task: Task, text: str, where: str) -> int | float:
    """The number of a class, given by name or number, or a target value. Raises AebertError for anything else."""
    text = text.strip()
    if not text:
        raise AebertError(f"{where}: no label; fill the row or leave it out")
    if task.kind == "regression":
        return _target(task, text, where)
    if text in task.labels:
        return task.labels.index(text)
    number = label_number(text)
    if str(number) in task.labels:  # 1.0 is the class called 1
        return task.labels.index(str(number))
    if number is not None and 0 <= number < len(task.labels):
        return number
    known = ", ".join(f"{number} ({name})" for number, name in enumerate(task.labels))
    raise AebertError(f"{where}: label {text[:80]!r} is not one of {known[:300]}")


def label_number(text: str) -> int | None:
    """The number that ``text`` writes, also as ``1.0``; None for anything else."""
    return whole_number(text.removesuffix(".0"))


def _target(task: Task, text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise AebertError(f"{where}: label {text[:80]!r} is not a finite number, as {task.name} needs")
    if task.value_range is not None and not task.value_range[0] <= value <= task.value_range[1]:
        low, high = task.value_range
        raise AebertError(f"{where}: label {text} is outside {low:g} to {high:g}, the range of {task.name}")
    return value
