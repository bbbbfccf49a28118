"""Rows of every GLUE task in both layouts, from the datasets library, and from files of one's own."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aebert.support.errors import AebertError
from aebert.tasks import GLUE_TASKS, Columns, Example, TaskData, find_task, load_task
from aebert.tasks.layouts import glue_examples
from aebert.tasks.tables import read_csv, read_json_lines, read_tsv
from tests.support.glue_files import write_tsv

# (header or None, a row with label 1 or 4.2, where the label stands) of the files that GLUE distributes.
STANDARD = {
    "cola": (None, ("gj04", "1", "", "one")),
    "sst2": (("sentence", "label"), ("one", "1")),
    "mrpc": (("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"), ("1", "7", "8", "one", "two")),
    "qqp": (("id", "qid1", "qid2", "question1", "question2", "is_duplicate"), ("0", "7", "8", "one", "two", "1")),
    "stsb": (
        ("index", "genre", "filename", "year", "old_index", "source1", "source2", "sentence1", "sentence2", "score"),
        ("0", "g", "f", "2012", "1", "none", "none", "one", "two", "4.200"),
    ),
    "mnli": (
        ("index", "promptID", "sentence1_parse", "sentence1", "sentence2", "label1", "gold_label"),
        ("0", "7", "(one)", "one", "two", "contradiction", "neutral"),
    ),
    "qnli": (("index", "question", "sentence", "label"), ("0", "one", "two", "not_entailment")),
    "rte": (("index", "sentence1", "sentence2", "label"), ("0", "one", "two", "not_entailment")),
    "wnli": (("index", "sentence1", "sentence2", "label"), ("0", "one", "two", "1")),
}
SINGLE = {"cola", "sst2"}


def expected(name: str) -> Example:
    return Example("one" if name in SINGLE else ("one", "two"), 4.2 if name == "stsb" else 1)


def write_task(folder: Path, name: str, train: bool = True) -> Path:
    header, row = STANDARD[name]
    rows = (row,) if header is None else (header, row)
    stems = ["dev_matched", "dev_mismatched"] if name == "mnli" else ["dev"]
    for stem in [*(["train"] if train else []), *stems]:
        write_tsv(folder / f"{stem}.tsv", *rows)
    return folder


@pytest.mark.parametrize("name", GLUE_TASKS)
def test_every_glue_task_is_read_in_the_layout_that_glue_distributes(name: str, tmp_path: Path) -> None:
    data = load_task(name, write_task(tmp_path, name))
    assert list(data.train) == [expected(name)]
    assert set(data.dev) == ({"dev_matched", "dev_mismatched"} if name == "mnli" else {"dev"})
    assert all(list(rows) == [expected(name)] for rows in data.dev.values())


@pytest.mark.parametrize("name", GLUE_TASKS)
def test_every_glue_task_is_read_with_plain_columns_and_label_numbers(name: str, tmp_path: Path) -> None:
    texts = ("sentence",) if name in SINGLE else ("sentence1", "sentence2")
    label = "4.2" if name == "stsb" else "1"
    write_tsv(tmp_path / "dev.tsv", ("idx", *texts, "label"), ("5", *("one", "two")[: len(texts)], label))
    assert list(load_task(name, tmp_path).dev["dev"]) == [expected(name)]


@pytest.mark.parametrize("folder", ["SST-2", "sst2", "sst_2"])
def test_the_folder_above_serves_too_and_a_name_is_found_in_any_spelling(folder: str, tmp_path: Path) -> None:
    write_task(tmp_path / folder, "sst2", train=False)
    data = load_task("Sst-2", tmp_path)
    assert (data.task.name, list(data.train), len(data.dev["dev"])) == ("sst2", [], 1)


def test_a_quotation_mark_is_a_character_and_no_other_line_end_breaks_a_row(tmp_path: Path) -> None:
    text = '"never closed\u2028 and \x0b on'
    write_tsv(tmp_path / "dev.tsv", ("idx", "sentence", "label"), (0, text, 0), (1, "plain", 1))
    assert [row.text for row in load_task("sst2", tmp_path).dev["dev"]] == [text, "plain"]


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data(tmp_path: Path) -> None:
    (tmp_path / "dev.tsv").write_bytes(b"\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t7\t8\ta\tb\r\n")
    assert list(load_task("mrpc", tmp_path).dev["dev"]) == [Example(("a", "b"), 1)]


def test_questions_of_qqp_broken_over_two_lines_are_left_out(tmp_path: Path) -> None:
    header, row = STANDARD["qqp"]
    assert header is not None
    write_tsv(tmp_path / "dev.tsv", header, ("0", "1", "2", "a question"), ("the rest", "two", "1"), row)
    assert list(load_task("qqp", tmp_path).dev["dev"]) == [expected("qqp")]


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("rte", ("0", "one", "two"), "line 3: 3 fields, the header has 4"),
        ("rte", ("0", "one", "two", "maybe"), "line 3: label 'maybe' is not one of 0 (entailment), 1 (not_entailment)"),
        ("rte", ("0", "one", "two", "2"), "line 3: label '2' is not one of"),
        ("rte", ("0", " ", "", "1"), "line 3: no text"),
        ("stsb", ("0", "one", "two", "nan"), "line 3: label 'nan' is not a finite number"),
        ("stsb", ("0", "one", "two", "5.1"), "line 3: label 5.1 is outside 0 to 5"),
    ],
)
def test_a_malformed_row_is_named_with_file_and_line(
    name: str, row: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    path = write_tsv(tmp_path / "dev.tsv", ("idx", "sentence1", "sentence2", "label"), ("0", "one", "two", "1"), row)
    with pytest.raises(AebertError) as error:
        load_task(name, tmp_path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_what_is_missing_or_unknown_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(AebertError, match=r"task 'sst': not one of cola, .*--text-columns"):
        load_task("sst", tmp_path)
    with pytest.raises(AebertError, match=r"no train\.tsv or dev\.tsv of rte"):
        load_task("rte", tmp_path)
    with pytest.raises(AebertError, match="no such folder"):
        load_task("rte", tmp_path / "nowhere")
    write_tsv(tmp_path / "dev.tsv", ("a", "b"), ("1", "2"))
    with pytest.raises(AebertError, match=r"columns of rte not found: expected sentence1, sentence2, label; .* a, b"):
        load_task("rte", tmp_path)
    (tmp_path / "dev.tsv").write_bytes(b"sentence\tlabel\nfine\t1\n\xff\t1\n")
    with pytest.raises(AebertError, match=r"dev\.tsv: line 3: not UTF-8"):
        load_task("sst2", tmp_path)


FIELD = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=("Cs",)), min_size=1).filter(str.strip)


@given(rows=st.lists(st.tuples(FIELD, FIELD, st.integers(0, 1)), min_size=1))
def test_whatever_text_a_tsv_file_holds_comes_back_row_by_row(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int]]
) -> None:
    path = write_tsv(
        tmp_path_factory.mktemp("tsv") / "dev.tsv",
        ("idx", "sentence1", "sentence2", "label"),
        *((number, *row) for number, row in enumerate(rows)),
    )
    read = glue_examples(find_task("wnli"), read_tsv(path))
    assert read == [Example((first.strip(), second.strip()), label) for first, second, label in rows]


@given(content=st.binary())
def test_no_file_whatever_brings_a_reader_down(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "dev.tsv"
    path.write_bytes(content)
    for read in (read_tsv, read_csv, read_json_lines):
        for name in ("cola", "stsb", "qqp"):
            with contextlib.suppress(AebertError):
                assert glue_examples(find_task(name), read(path))


def write_own(folder: Path, labels: list[str]) -> Path:
    rows = "".join(f'"text, number {number}",{label}\n' for number, label in enumerate(labels))
    (folder / "train.csv").write_text("body,y\n" + rows)
    return folder


OWN = Columns(("body",), "y")


def test_labels_of_ones_own_become_classes_in_sorted_order(tmp_path: Path) -> None:
    data = load_task("mail", write_own(tmp_path, ["spam", "ham", "spam"]), OWN)
    assert data.task.labels == ("ham", "spam")
    assert [row.label for row in data.train] == [1, 0, 1]
    assert data.train[0].text == "text, number 0"
    assert data.task.metrics == ("accuracy", "f1")


def test_whole_numbers_are_classes_and_fractions_a_regression_unless_told_otherwise(tmp_path: Path) -> None:
    classes = load_task("stars", write_own(tmp_path, ["10", "9", "2"]), OWN)
    assert (classes.task.labels, classes.task.metrics) == (("2", "9", "10"), ("accuracy", "f1_macro"))
    assert load_task("stars", tmp_path, OWN, "regression").task.kind == "regression"
    fractions = load_task("stars", write_own(tmp_path, ["1", "2.5"]), OWN)
    assert (fractions.task.kind, fractions.train[1].label) == ("regression", 2.5)


def test_json_lines_of_pairs_are_read_and_a_missing_field_is_named(tmp_path: Path) -> None:
    rows = [{"q": "one", "a": "two", "good": True}, {"q": "three", "a": "four", "good": False}]
    path = tmp_path / "dev.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    data = load_task("answers", tmp_path, Columns(("q", "a"), "good"))
    assert list(data.dev["dev"]) == [Example(("one", "two"), 1), Example(("three", "four"), 0)]
    with pytest.raises(AebertError, match=r"no column 'text'; there are q, a, good"):
        load_task("answers", tmp_path, Columns(("text",), "good"))
    path.write_text(json.dumps(rows[0]) + '\n{"q": "x", "good": true}\n')
    with pytest.raises(AebertError, match=r"dev\.jsonl: line 2: field 'a' is missing"):
        load_task("answers", tmp_path, Columns(("q", "a"), "good"))


def test_only_a_line_break_outside_quotes_ends_a_row_of_csv(tmp_path: Path) -> None:
    text = "a\u2028b\x0bc"
    path = tmp_path / "train.csv"
    path.write_bytes(f'body,y\r\n{text},0\r\n"two\nlines, ""quoted""",1\r\n'.encode())
    data = load_task("own", tmp_path, OWN)
    assert [row.text for row in data.train] == [text, 'two\nlines, "quoted"']
    path.write_text('body,y\nfine,0\n"open,1\n')
    with pytest.raises(AebertError, match=r"train\.csv: line 3: not CSV"):
        load_task("own", tmp_path, OWN)


def saved_dataset(folder: Path, labels: list[str]) -> Path:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "premise": datasets.Value("string"),
            "hypothesis": datasets.Value("string"),
            "label": datasets.ClassLabel(names=labels),
        }
    )
    rows = {"premise": ["p", "q"], "hypothesis": ["h", "i"], "label": ["neutral", "contradiction"]}
    split = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": split, "validation_mismatched": split}).save_to_disk(folder)
    return folder


@pytest.mark.parametrize(
    "labels", [["entailment", "neutral", "contradiction"], ["contradiction", "neutral", "entailment"]]
)
def test_a_saved_dataset_is_read_by_the_names_of_its_classes(labels: list[str], tmp_path: Path) -> None:
    data: TaskData = load_task("mnli", f"datasets:{saved_dataset(tmp_path / 'saved', labels)}")
    assert list(data.train) == [Example(("p", "h"), 1), Example(("q", "i"), 2)]
    assert list(data.dev) == ["dev_mismatched"]


def test_a_dataset_that_cannot_be_reached_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AebertError, match="datasets:nobody/nothing: the datasets library cannot load it"):
        load_task("rte", "datasets:nobody/nothing")
