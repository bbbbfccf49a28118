"""What a file holds is of its type, or one line names the field and says what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from aebert.support.checked_files import FileTable, PlainText, between, check_fields, parse_json, read_json
from aebert.support.errors import AebertError


class _Bank(FileTable):
    tag: PlainText
    size: Annotated[int, between(1, 8)] = 1


class _Board(FileTable):
    name: PlainText
    clock: Annotated[float, between(50, 800)]
    kind: Literal["vitis", "vivado"]
    shared: bool
    bank: Annotated[list[_Bank], Field(min_length=1)]


GOOD = {"name": "a", "clock": 300, "kind": "vitis", "shared": True, "bank": [{"tag": "DDR[0]"}]}


def test_a_whole_number_is_a_number_and_defaults_are_filled_in() -> None:
    board = check_fields(_Board, GOOD, "board.toml")
    assert (board.clock, board.bank) == (300.0, [_Bank(tag="DDR[0]")])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clock": "300"}, "field clock: must be a number, not '300'"),
        ({"clock": True}, "field clock: must be a number, not True"),
        ({"clock": float("nan")}, "field clock: must be a number, not nan"),
        ({"clock": 801}, "field clock: must lie in 50..800, not 801"),
        ({"kind": "quartus"}, "field kind: must be one of vitis, vivado, not 'quartus'"),
        ({"shared": 0}, "field shared: must be true or false, not 0"),
        ({"name": " "}, "field name: must be a non-empty string, not ' '"),
        ({"name": "a\nb"}, "field name: must not hold a line break or another control character, not 'a\\nb'"),
        ({"bank": {}}, "field bank: must be a list, not {}"),
        ({"bank": [3]}, "field bank[0]: must be a table, not 3"),
        ({"bank": [{"tag": "a", "size": 9}]}, "field bank[0].size: must lie in 1..8, not 9"),
        ({"bank": [{"tag": "a"}, {"tga": "b"}]}, "field bank[1].tga: is not known here; did you mean tag?"),
        ({"bank": [{}]}, "field bank[0].tag: is missing; add it"),
        ({"colour": 1}, "field colour: is not known here; remove it or mend its spelling"),
    ],
)
def test_the_first_wrong_field_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(AebertError) as refused:
        check_fields(_Board, GOOD | change, "board.toml")
    assert str(refused.value) == f"board.toml: {message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"x\.json: not valid JSON \(EOF .*\); write it again"),
        ("[" * 100_000, r"x\.json: not valid JSON \(recursion limit"),
        ("[]", r"x\.json: the file: must be a table, not \[\]; write it again"),
        ('{"n": "1"}', r"x\.json: field n: must be a whole number, not '1'; write it again"),
        ('{"n": 1e999}', r"x\.json: field n: must be a whole number"),
    ],
)
def test_json_that_is_not_of_its_type_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    class Number(BaseModel):
        model_config = ConfigDict(allow_inf_nan=False)
        n: int

    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(AebertError, match=message) as refused:
        read_json(Number, path, "write it again")
    assert "\n" not in str(refused.value)
    with pytest.raises(AebertError, match=r"absent\.json: cannot be read \(No such file or directory\); write it"):
        read_json(Number, tmp_path / "absent.json", "write it again")
    path.write_text('{"n": 1}' + " " * 100)
    with pytest.raises(AebertError, match="more than 50"):
        read_json(Number, path, "write it again", limit=50)


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_no_content_is_more_than_one_line(content: bytes | str) -> None:
    with pytest.raises(AebertError) as refused:
        parse_json(_Board, content, "x", "again")
    assert len(str(refused.value).splitlines()) == 1
