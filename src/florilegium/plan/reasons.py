"""The reason why a job is due, in one line.

Snakemake knows which parameters of a job changed, but prints them whole, before and now: two JSON documents of a
thousand characters that differ in one rate. Here only the difference is printed: `recipe.lr: 0.01 → 0.02`.
"""

import ast
import itertools
import json
import re
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from typing import Any

from florilegium.core.errors import some
from florilegium.core.local_files import PREFIX

CHANGES = 4  # most changes in one line
ITEMS = 2  # most items of a list
WIDTH = 40  # most characters of a value
CODE = re.compile(r"'[0-9a-f]{16}'")  # `repr` of a hash from `core.fingerprint.short_hash`
NAMES = ("experiment", "arm", "file", "metric")  # keys that identify the members of a list
FILES = re.compile(
    r"((?:Missing|Incomplete) output files|Updated input files|Input files updated by another job): ([^;]+)"
)
# By the mark of local files: what has changed in them. The plan fills this in.
CHANGED_FILES: dict[str, str] = {}
PLAIN = str.maketrans({"→": "->", "…": "...", "−": "-"})
ABSENT = object()


def install() -> None:
    """Make Snakemake print its reasons in this form.

    It has no hook for them, so that the texts of two of its classes are replaced. In a version without these classes,
    or with other attributes, Snakemake's own texts stay.
    """
    try:
        from snakemake.jobs import Reason
        from snakemake.persistence import ParamsChange
    except ImportError:
        return
    replace_text(ParamsChange, lambda change, own: compare(change.only_old, change.only_new) if change else own)
    replace_text(Reason, lambda _, own: shorten(own))


def replace_text(kind: Any, text_of: Callable[[Any, str], str]) -> None:
    """Make `str` of a class return `text_of(object, its own text)`, or its own text where that fails or is empty."""
    own: Callable[[Any], str] = kind.__str__

    def text(self: Any) -> str:
        before = own(self)
        with suppress(Exception):  # another version of Snakemake may have other attributes
            return printable(text_of(self, before)) or before
        return before

    kind.__str__ = text


def printable(text: str) -> str:
    """`text` without the arrows and dots that the encoding of standard error, where Snakemake writes, lacks."""
    try:
        text.encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return text.translate(PLAIN).encode("ascii", "replace").decode()
    return text


def shorten(reason: str) -> str:
    """Snakemake's text with a count in place of every long list of files."""
    return FILES.sub(lambda match: f"{match[1]}: {_files(sorted(match[2].split(', ')))}", reason)


def _files(names: list[str]) -> str:
    if len(names) <= ITEMS:
        return ", ".join(names)
    levels = zip(*(name.split("/")[:-1] for name in names), strict=False)
    common = [level[0] for level in itertools.takewhile(lambda level: len(set(level)) == 1, levels)]
    return f"{len(names)} in {'/'.join(common)}" if len(common) > 1 else some(names, 1)


def compare(only_old: Collection[str], only_new: Collection[str]) -> str:
    """The differences of two sets of parameters.

    Args:
        only_old: `repr` of each value that the job had and no longer has.
        only_new: `repr` of each value that it did not have.
    """
    codes = {text for text in (*only_old, *only_new) if CODE.fullmatch(text)}
    marks = {text for text in (*only_old, *only_new) if text[1:].startswith(PREFIX)}
    old, new = ([_value(text) for text in sorted(texts - codes - marks)] for texts in map(set, (only_old, only_new)))
    before, now = ([value for value in side if isinstance(value, dict)] for side in (old, new))
    changes = [change for document in before for change in _changes(document, _most_similar(document, now))]
    changes += [change for document in now for change in _changes(_most_similar(document, before), document)]
    # Snakemake does not keep the names of values that are no documents.
    before, now = ([value for value in side if value != "" and not isinstance(value, dict)] for side in (old, new))
    if len(before) == len(now) == 1:
        changes.append(_pair(before[0], now[0]))
    else:
        sides = (("no longer", before), ("now", now))
        changes += [f"{word} {some([_short(value) for value in values], ITEMS)}" for word, values in sides if values]
    if marks:
        known = [CHANGED_FILES[text[1:-1]] for text in sorted(only_new) if text[1:-1] in CHANGED_FILES]
        changes = [*known, *changes] if known else [*changes, "files of your own have changed"]
    return some(list(dict.fromkeys([*changes, *(["code of the stage"] if codes else [])])), CHANGES, "; ")


def _value(text: str) -> Any:
    """A parameter from its `repr`; JSON objects become dictionaries."""
    value: Any = text
    with suppress(ValueError, SyntaxError):
        value = ast.literal_eval(text)
        if isinstance(value, str) and value.startswith("{"):
            value = json.loads(value)
    return value


def _most_similar(document: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """The document with the fewest differences among those that share a key with this one; else an empty one."""
    related = [other for other in others if other.keys() & document.keys()]
    return min(related, key=lambda other: len(list(_changes(document, other))), default={})


def _changes(old: Any, new: Any, key: str = "") -> Iterator[str]:
    """Every difference by its dotted key."""
    if isinstance(old, list) and isinstance(new, list):
        old, new = _by_name(old), _by_name(new)
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            yield from _changes(old.get(name, ABSENT), new.get(name, ABSENT), f"{key}.{name}" if key else name)
    elif old is ABSENT:
        yield f"{key}: new, {_short(new)}"
    elif new is ABSENT:
        yield f"{key}: gone, was {_short(old)}"
    elif type(old) is not type(new) or old != new:
        yield f"{key}: {_pair(old, new)}"


def _by_name(items: list[Any]) -> Any:
    """A list of named objects as a dictionary, so that an additional one does not shift the others."""
    names = ["/".join(str(i[key]) for key in NAMES if key in i) if isinstance(i, dict) else "" for i in items]
    return dict(zip(names, items, strict=True)) if all(names) and len(set(names)) == len(names) else items


def _pair(old: Any, new: Any) -> str:
    """`old → new`; of two long lists the items of one alone, of two long texts the ends that differ."""
    a, b = _text(old), _text(new)
    if max(len(a), len(b)) > WIDTH:
        if isinstance(old, list | tuple) and isinstance(new, list | tuple):
            parts = [f"− {_text(x)}" for x in old if x not in new] + [f"+ {_text(x)}" for x in new if x not in old]
            return some(parts, ITEMS) or "another order"
        common = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        if start := a.rfind(" ", 0, common) + 1:
            a, b = f"…{a[start:]}", f"…{b[start:]}"
    return f"{_short(a)} → {_short(b)}"


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value or "''"
    if isinstance(value, dict | list | tuple | bool | None):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
