"""Why a job is due, in one line that a person can read.

Snakemake knows which parameters of a job changed, but prints them whole, before and now: two JSON
documents of a thousand characters that differ in one rate. Here they are laid side by side, and only
what differs is told: `recipe.lr: 0.01 → 0.02`.
"""

import ast
import itertools
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

SHOWN = 4  # changes in one line
ITEMS = 2  # of a list
WIDTH = 40  # characters of one value
CODE = re.compile(r"[0-9a-f]{16}")  # as `core.fingerprint.short_hash` writes it
NAMES = ("experiment", "arm", "file", "metric")  # keys by which the members of a list are told apart
FILES = re.compile(
    r"((?:Missing|Incomplete) output files|Updated input files|Input files updated by another job): ([^;]+)"
)
ABSENT = object()


def told(only_old: Iterable[str], only_new: Iterable[str]) -> str:
    """What changed between two sets of parameters.

    Args:
        only_old: `repr` of each value that the job had and no longer has.
        only_new: the same of each that it did not have.
    """
    old, new = ([_value(text) for text in sorted(texts)] for texts in (only_old, only_new))
    found = [*_documents(old, new), *_others(old, new)]
    if any(_is_code(value) for value in (*old, *new)):
        found.append("code of the stage")
    return listed(dict.fromkeys(found), SHOWN, "; ")


def shortened(reason: str) -> str:
    """Snakemake's text with a count in place of every long list of files in it."""
    return FILES.sub(lambda found: f"{found[1]}: {_files(sorted(found[2].split(', ')))}", reason)


def _files(names: list[str]) -> str:
    """One or two files by name, more by their common folder or after the first of them."""
    if len(names) <= ITEMS:
        return ", ".join(names)
    parts = zip(*(name.split("/")[:-1] for name in names), strict=False)
    common = [level[0] for level in itertools.takewhile(lambda level: len(set(level)) == 1, parts)]
    return f"{len(names)} in {'/'.join(common)}" if len(common) > 1 else listed(names, 1)


def listed(items: Collection[str], most: int, separator: str = ", ") -> str:
    """The first `most` items, and how many there are beyond."""
    more = len(items) - most
    text = separator.join(list(items)[:most])
    return f"{text} and {more} more" if more > 0 else text


def install() -> None:
    """Have Snakemake tell its reasons in this way.

    There is no hook for it, so the texts of two of its classes are replaced; in a version that has
    no such classes, or whose classes hold something else, Snakemake's own words stay.
    """
    try:
        from snakemake.jobs import Reason
        from snakemake.persistence import ParamsChange
    except ImportError:
        return
    _retell(ParamsChange, lambda change, own: told(change.only_old, change.only_new) if change else own)
    _retell(Reason, lambda _, own: shortened(own))


def _retell(kind: type, tell: Callable[[Any, str], str]) -> None:
    own: Callable[[Any], str] = kind.__str__  # type: ignore[assignment]

    def text(self: Any) -> str:
        said = own(self)
        try:
            return _printable(tell(self, said)) or said
        except Exception:  # whatever another version of Snakemake may hold there
            return said

    kind.__str__ = text  # type: ignore[method-assign, assignment]


def _printable(text: str) -> str:
    """`text` without arrows and dots that standard error, where Snakemake writes, could not take."""
    try:
        text.encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return (
            text.replace("→", "->").replace("…", "...").replace("−", "-").encode("ascii", "replace").decode()
        )
    return text


def _value(text: str) -> Any:
    """A parameter from its `repr`; JSON objects become dictionaries."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _is_code(value: Any) -> bool:
    return isinstance(value, str) and CODE.fullmatch(value) is not None


def _documents(old: list[Any], new: list[Any]) -> Iterator[str]:
    """Changes between JSON documents, each held against the one on the other side that is most like it."""
    before = [value for value in old if isinstance(value, dict)]
    now = [value for value in new if isinstance(value, dict)]
    for document in before:
        yield from _changes(document, _nearest(document, now))
    for document in now:
        yield from _changes(_nearest(document, before), document)


def _nearest(document: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """The most similar document that has a key in common with this one; an empty one if there is none."""
    related = [other for other in others if other.keys() & document.keys()]
    leaves = set(_leaves(document))
    return max(related, key=lambda other: len(leaves & set(_leaves(other))), default={})


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{key}.{name}")
    else:
        yield key, repr(value)


def _changes(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """Every difference by its dotted key."""
    if isinstance(old, list) and isinstance(new, list):
        old, new = _by_name(old), _by_name(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys((*old, *new)):
            below = f"{key}.{name}" if key else name
            yield from _changes(old.get(name, ABSENT), new.get(name, ABSENT), below)
    elif old is ABSENT:
        yield f"{key}: new, {_short(_text(new))}"
    elif new is ABSENT:
        yield f"{key}: gone, was {_short(_text(old))}"
    elif type(old) is not type(new) or old != new:
        yield f"{key}: {_pair(old, new)}"


def _by_name(items: list[Any]) -> Any:
    """A list of named objects as a dictionary, so that one more of them does not shift the others."""
    names = [_name(item) for item in items]
    return dict(zip(names, items, strict=True)) if all(names) and len(set(names)) == len(names) else items


def _name(item: Any) -> str:
    return "/".join(str(item[key]) for key in NAMES if key in item) if isinstance(item, dict) else ""


def _others(old: list[Any], new: list[Any]) -> Iterator[str]:
    """Changes of plain values, whose names Snakemake does not keep."""
    before, now = (
        [v for v in side if v != "" and not isinstance(v, dict) and not _is_code(v)] for side in (old, new)
    )
    if len(before) == len(now) == 1:
        yield _pair(before[0], now[0])
        return
    if before:
        yield f"no longer {listed([_short(_text(value)) for value in before], ITEMS)}"
    if now:
        yield f"now {listed([_short(_text(value)) for value in now], ITEMS)}"


def _pair(old: Any, new: Any) -> str:
    """`old → new`; of two long lists what one alone holds, of two long texts what follows where they part."""
    a, b = _text(old), _text(new)
    if max(len(a), len(b)) > WIDTH:
        if isinstance(old, list | tuple) and isinstance(new, list | tuple):
            gone, come = [x for x in old if x not in new], [x for x in new if x not in old]
            parts = [f"{sign} {_text(x)}" for sign, items in (("−", gone), ("+", come)) for x in items]
            return listed(parts, ITEMS) or "another order"
        common = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        start = a.rfind(" ", 0, common) + 1
        if start:
            a, b = f"…{a[start:]}", f"…{b[start:]}"
    return f"{_short(a)} → {_short(b)}"


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value or "''"
    if isinstance(value, tuple):
        value = list(value)
    return (
        json.dumps(value, ensure_ascii=False)
        if isinstance(value, dict | list | bool) or value is None
        else str(value)
    )
