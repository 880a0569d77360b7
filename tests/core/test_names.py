"""Names: one spelling, and a form that can be printed and drawn."""

import os

import pytest
from matplotlib.figure import Figure

from florilegium.core.names import class_name, drawn, name_bytes, shown, spelt

COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


def test_one_name_has_one_spelling() -> None:
    assert spelt(DECOMPOSED) == spelt(COMPOSED) == COMPOSED
    assert class_name(DECOMPOSED) == COMPOSED
    assert class_name("\u1112\u1161\u11ab") == "\ud55c"  # Korean, as macOS writes it


@pytest.mark.parametrize("name", ["1", "01", "1e3", "NA", "nan", "None", "true", "-", " ", "Lily of the valley", "a,b"])
def test_a_class_is_the_text_of_its_folder(name: str) -> None:
    assert class_name(name) == name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"caf\xe9", r"caf\xe9"),
        (b"\xff\xfe", r"\xff\xfe"),
        (b"two\nlines\tand\r", r"two\nlines\tand\r"),
        ("photo {edited} ü\x1b.png".encode(), r"photo {edited} ü\x1b.png"),
        ("\u2028\u00e9".encode(), "\\u2028\u00e9"),
    ],
)
def test_what_cannot_be_drawn_in_one_line_is_escaped(name: bytes, text: str) -> None:
    assert shown(os.fsdecode(name)) == text
    assert shown(text) == text


def test_the_bytes_of_a_name_are_those_on_the_disk() -> None:
    for name in (b"caf\xe9", COMPOSED.encode(), DECOMPOSED.encode()):
        assert name_bytes(os.fsdecode(name)) == name


@pytest.mark.parametrize("name", [r"$\foo$", "$", "$a$b$", r"\$x$", os.fsdecode(b"caf\xe9$$")])
def test_matplotlib_draws_every_name(name: str) -> None:
    figure = Figure()
    figure.text(0, 0, drawn(name))
    figure.text(0, 0.5, drawn(drawn(name)))
    figure.draw_without_rendering()
