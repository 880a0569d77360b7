"""Texts that people write stand in Markdown as they are: what a Markdown program makes of them is the text again."""

from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from florilegium.core.names import shown
from florilegium.report.page import is_web_address
from florilegium.report.tables import inline, markdown_table, numbered, picture

markdown = pytest.importorskip("markdown")

TEXTS = [
    "<script>alert(1)</script>",
    "a | b || c",
    "ends with a backslash \\",
    "\\| and \\\\| and \\<b>",
    "`code` and ``more``",
    "[link](javascript:alert(1))",
    "![picture](http://example.org/x.png)",
    "[a][b] and [c]: http://example.org",
    "<http://example.org> <img src=x onerror=alert(1)>",
    "<!-- comment --> <?php <![CDATA[",
    "__init__ _a_ *b* **c** a_b snake_case_name",
    "&lt;script&gt; &amp; &#60;b&#62; & a && b",
    "line\nbreak\r\nand | more",
    "=1+1 -2 +3 @x",
    "48.3 [47.2, 49.1] < 0.001",
    "ローズ 🌹 وردة",
]


class Shown(HTMLParser):
    """The cells of tables and the items of lists, as text, and the tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag in ("td", "th", "li"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("text", TEXTS)
def test_a_cell_shows_its_text(text: str) -> None:
    shown = Shown(markdown.markdown(markdown_table(("first", text), [("1", text), (text, "2")]), extensions=["tables"]))
    assert shown.tags == {"table", "thead", "tbody", "tr", "th", "td"}
    expected = one_line(text)
    assert list(map(one_line, shown.cells)) == ["first", expected, "1", expected, expected, "2"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_note_shows_its_text(text: str) -> None:
    shown = Shown(markdown.markdown(numbered([f"note: {text}", "second"])))
    assert shown.tags == {"ol", "li"}
    assert list(map(one_line, shown.cells)) == [one_line(f"note: {text}"), "second"]


@pytest.mark.parametrize("text", [*TEXTS, "half ] a [ bracket", "](http://example.org)", "a ![b](c.png)"])
@pytest.mark.parametrize("address", ["plots/leak.png", "my run (2)/ä.png"])
def test_a_picture_has_its_text_and_its_address(text: str, address: str) -> None:
    found: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append((tag, dict(attrs)))  # type: ignore[method-assign]
    parser.feed(markdown.markdown(picture(text, address)))
    assert [tag for tag, _ in found] == ["p", "img"]
    assert unquote(str(found[1][1]["src"])) == address and " " not in str(found[1][1]["src"])
    assert one_line(str(found[1][1]["alt"])) == one_line(text)


@pytest.mark.parametrize("turning", "\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
def test_no_text_turns_what_stands_behind_it(turning: str) -> None:
    escaped = f"a\\u{ord(turning):x}b"
    assert shown(f"a{turning}b") == escaped and markdown.markdown(inline(f"a{turning}b")) == f"<p>{escaped}</p>"
    assert inline("وردة שושנה") == shown("وردة שושנה") == "وردة שושנה"


@pytest.mark.parametrize("text", ["# heading", "> quote", "- item", "+ item", "[c]: http://example.org"])
def test_a_note_begins_no_block(text: str) -> None:
    shown = Shown(markdown.markdown(numbered([text, "second"])))
    assert shown.tags == {"ol", "li"} and shown.cells[0].strip() == text


@pytest.mark.parametrize("text", ["90.0 to 91.5", "48.3 [47.2, 49.1]", "< 0.001", "as_published", "−11.5", "a/b (c)"])
def test_what_is_no_markup_stays(text: str) -> None:
    assert inline(text) == text


@pytest.mark.parametrize(
    ("address", "is_link"),
    [
        ("https://example.org/a?b=c#d", True),
        ("HTTP://EXAMPLE.ORG", True),
        ("http://127.0.0.1:8000/", True),
        ("https://example.org/ä", True),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("java\tscript:alert(1)", False),
        ("\x01javascript:alert(1)", False),
        ("data:text/html,<script>alert(1)</script>", False),
        ("file:///etc/passwd", False),
        ("ftp://example.org", False),
        ("vbscript:x", False),
        ("//example.org", False),
        ("example.org", False),
        ("https:", False),
        ("https:///path", False),
        ("https://exa mple.org", False),
        ("https://example.org\n", False),
        ('https://example.org/"onclick=x', False),
        ("https://[half", False),
        ("", False),
    ],
)
def test_only_whole_addresses_of_the_web_become_links(address: str, is_link: bool) -> None:
    assert is_web_address(address) == is_link
