"""Tables: a text is read as it was written, whatever it looks like, and a number to the last bit."""

import csv
import math
import os
import random
from pathlib import Path

import pandas as pd
import pytest

from florilegium.core.errors import UserError
from florilegium.core.tables import COUNT, read_table, write_frame, write_table

TEXTS = [
    *("1", "01", "1e3", "1.0", "102", "NA", "nan", "NaN", "None", "null", "N/A", "#N/A", "true", "TRUE", "yes", "inf"),
    *("-inf", "-1", "+1", "-", "", " ", "  two  ", "a,b", 'q"uote', "'", "''", "line\nbreak", "cr\rhere", "\r\n", "\t"),
    *("＝1+1", "＠x", "\n=1", "\n"),
    *("=1+1", "'=1+1", "''=1", "+cmd|' /C calc'!A0", "@SUM(A1)", "-1+1", "-rf.jpg", "\t=1", "#comment", "%d", "{x}"),
    *("\U0001f33c", "cafe\u0301", "caf\u00e9", "\u2028", "\x85", "\ufeffbom", "back\\slash", "\\udce9", "\\udc5c"),
    *(os.fsdecode(b"caf\xe9.jpg"), os.fsdecode(b"\xff\xfe"), os.fsdecode(b"\\udce9\xe9\r")),
]


def both(path: Path, texts: list[str], *, by_frame: bool) -> list[str]:
    """`texts` as they are read, once they are written by either writer."""
    if by_frame:
        write_frame(path, pd.DataFrame({"number": range(len(texts)), "text": texts}))
    else:
        write_table(path, ("number", "text"), [(str(k), text) for k, text in enumerate(texts)])
    return list(read_table(path)["text"])


@pytest.mark.parametrize("by_frame", [False, True])
def test_every_text_is_read_as_it_was_written(tmp_path: Path, by_frame: bool) -> None:
    assert both(tmp_path / "t.csv", TEXTS, by_frame=by_frame) == TEXTS


def test_both_writers_write_the_same_bytes(tmp_path: Path) -> None:
    for name, by_frame in (("a.csv", False), ("b.csv", True)):
        both(tmp_path / name, TEXTS, by_frame=by_frame)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_column_alone_keeps_cells_that_are_empty_or_blank(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ["image"], [["a"], [""], [" "], ["b"]])
    assert list(read_table(tmp_path / "t.csv")["image"]) == ["a", "", " ", "b"]


def test_other_programs_can_open_every_table_and_run_nothing(tmp_path: Path) -> None:
    both(tmp_path / "t.csv", TEXTS, by_frame=True)
    with open(tmp_path / "t.csv", encoding="utf-8", newline="") as file:  # strict: every byte is UTF-8
        cells = [row["text"] for row in csv.DictReader(file)]
    assert len(cells) == len(TEXTS)
    by_text = dict(zip(TEXTS, cells, strict=True))
    assert {cell for cell in cells if cell[:1] in ("=", "@", "\t")} == set()
    assert {text for text, cell in by_text.items() if cell[:1] in ("+", "-")} == {"+1", "-1", "-"}
    assert by_text["=1+1"] == "'=1+1"
    assert by_text[os.fsdecode(b"caf\xe9.jpg")] == "caf\\udce9.jpg"
    assert not any("\r" in cell for cell in cells)


def test_plain_texts_stand_as_they_are(tmp_path: Path) -> None:
    rows = [("train/a b/1.jpg", "Lily of the valley", "train"), ("é.png", "it's", "test")]
    write_table(tmp_path / "t.csv", ("image", "class", "split"), rows)
    expected = "image,class,split\ntrain/a b/1.jpg,Lily of the valley,train\né.png,it's,test\n"
    assert (tmp_path / "t.csv").read_bytes() == expected.encode()


def test_numbers_are_read_to_the_last_bit(tmp_path: Path) -> None:
    draw = random.Random(0)
    numbers = [draw.random() * 10 ** draw.randint(-300, 300) for _ in range(2000)]
    write_frame(tmp_path / "t.csv", pd.DataFrame({"x": [*numbers, math.nan, math.inf, -math.inf]}))
    *read, missing, high, low = read_table(tmp_path / "t.csv", {"x": float})["x"]
    assert read == numbers
    assert math.isnan(missing) and (high, low) == (math.inf, -math.inf)


def test_columns_have_the_types_that_are_given(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("class,n,of,right,share\nNA,1,,True,\n01,2,3,False,0.1\n")
    types = {"class": str, "n": int, "of": COUNT, "right": bool, "elsewhere": int}
    table = read_table(tmp_path / "t.csv", types, others=float)
    assert table["class"].tolist() == ["NA", "01"]
    assert table["n"].tolist() == [1, 2] and table["n"].dtype == "int64"
    assert table["of"].tolist() == [pd.NA, 3] and table["of"].dtype == "Int64"
    assert table["right"].tolist() == [True, False] and table["right"].dtype == bool
    assert math.isnan(table["share"][0]) and table["share"][1] == 0.1
    assert list(read_table(tmp_path / "t.csv", columns=["class"])) == ["class"]


def test_a_table_without_rows_has_its_types(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("epoch,loss\n")
    table = read_table(tmp_path / "t.csv", {"epoch": int}, others=float)
    assert [str(kind) for kind in table.dtypes] == ["int64", "float64"] and table.empty


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (b"", None),
        (b"image,n\na,one\n", None),
        (b"image,n\na,1,2,3\nb,1\n", None),
        (b"image,n\na\xff,1\n", None),
        (b"image,n\na,1\n", ["class"]),
        (b'image,n\n"a,1\n', None),
    ],
)
def test_a_table_that_is_none_is_one_sentence(tmp_path: Path, content: bytes, columns: list[str] | None) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"t\.csv: is cut, or no such table \(.*\); remove it and make it again"):
        read_table(tmp_path / "t.csv", {"n": int}, columns=columns)
