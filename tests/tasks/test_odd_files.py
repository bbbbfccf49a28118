"""Files as people have them: labels that are not there, numbers with a point, headers in another case, long fields."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aebert.models.calibration_text import LONGEST_LINE, read_texts
from aebert.support.errors import AebertError
from aebert.tasks import Columns, load_task
from aebert.tasks.task import Example

OWN = Columns(("text",), "label")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dev.csv", "text,label\na,1\nb,\nc,0\n"),
        ("dev.tsv", "text\tlabel\na\t1\nb\t \nc\t0\n"),
        (
            "dev.jsonl",
            "".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in (("a", 1), ("b", None), ("c", 0))),
        ),
    ],
)
def test_a_label_that_is_not_there_is_no_class(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(AebertError, match=r"line [23]: no label; fill the row or leave it out"):
        load_task("own", tmp_path, OWN)


def test_a_label_of_two_dashes_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "dev.csv").write_text("text,label\na,--1\nb,2\n")
    assert load_task("own", tmp_path, OWN).task.labels == ("--1", "2")


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000], ids=["digits", "brackets"])
def test_json_that_python_cannot_hold_is_not_json(tmp_path: Path, value: str) -> None:
    (tmp_path / "dev.jsonl").write_text(f'{{"text": "a", "label": 0}}\n{{"text": "b", "label": {value}}}\n')
    with pytest.raises(AebertError, match=r"dev\.jsonl: line 2: not JSON \(.*\); give one object per line") as caught:
        load_task("own", tmp_path, OWN)
    assert len(str(caught.value)) < len(str(tmp_path)) + 300


def test_whole_numbers_with_a_point_are_the_same_classes(tmp_path: Path) -> None:
    (tmp_path / "dev.csv").write_text("text,label\na,1.0\nb,2\nc,2.0\n")
    data = load_task("own", tmp_path, OWN, "classification")
    assert data.task.labels == ("1", "2")
    assert [row.label for row in data.dev["dev"]] == [0, 1, 1]


@pytest.mark.parametrize(
    ("labels", "expected"), [(("neutral", "good"), [1, 2]), (("1", "2"), [1, 2]), (("2.0", "0"), [2, 0])]
)
def test_classes_come_from_the_model_and_may_be_absent_from_dev(
    tmp_path: Path, labels: tuple[str, str], expected: list[int]
) -> None:
    (tmp_path / "dev.csv").write_text("text,label\n" + "".join(f"a,{label}\n" for label in labels))
    data = load_task("own", tmp_path, OWN, classes=("bad", "neutral", "good"))
    assert data.task.labels == ("bad", "neutral", "good")
    assert [row.label for row in data.dev["dev"]] == expected


def test_labels_that_are_not_the_models_make_classes_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "dev.csv").write_text("text,label\na,spam\nb,ham\n")
    assert load_task("own", tmp_path, OWN, classes=("bad", "good")).task.labels == ("ham", "spam")


def test_glue_files_with_odd_layout_are_read(tmp_path: Path) -> None:
    (tmp_path / "validation.tsv").write_text("Sentence\tLABEL \n\nfine film\t1.0 \n  \ndull film\t0\t\n")
    assert list(load_task("sst2", tmp_path).dev["dev"]) == [Example("fine film", 1), Example("dull film", 0)]


def test_a_field_too_long_for_csv_is_told_as_that(tmp_path: Path) -> None:
    (tmp_path / "dev.csv").write_text(f'text,label\n"{"a" * 131_073}",1\n')
    with pytest.raises(AebertError, match="a field of more than 131072 characters"):
        load_task("own", tmp_path, OWN)


@pytest.mark.parametrize("name", ["dev.tsv", "dev.jsonl"])
def test_a_line_of_24_megabytes_is_named_and_not_tokenised(tmp_path: Path, name: str) -> None:
    long = "word " * (24 << 18)
    lines = {
        "dev.tsv": f"text\tlabel\na\t0\n{long}\t1\n",
        "dev.jsonl": f'{{"text": "a", "label": 0}}\n{{"text": "{long}", "label": 1}}\n',
    }
    (tmp_path / name).write_text(lines[name])
    with pytest.raises(AebertError, match=rf"line [23]: text of {len(long) - 1} characters, more than {LONGEST_LINE}"):
        load_task("own", tmp_path, OWN)


def test_a_line_of_24_megabytes_is_no_calibration_text(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("a sentence\n" + "word " * (24 << 18) + "\n")
    with pytest.raises(AebertError, match=rf"text\.txt: line 2: \d+ characters, more than {LONGEST_LINE}; split it"):
        read_texts(path)


def test_a_column_that_is_there_twice_is_not_chosen_in_silence(tmp_path: Path) -> None:
    (tmp_path / "dev.csv").write_text("text,label,label\na,1,0\nb,0,1\n")
    with pytest.raises(AebertError, match=r"dev\.csv: 2 columns are called 'label'; rename one"):
        load_task("own", tmp_path, OWN)
