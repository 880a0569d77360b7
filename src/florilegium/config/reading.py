"""YAML files as mappings, read so that nothing in them is dropped, guessed or unbounded without a sentence.

Keys are text as they are written (`no`, `1` and `2024-01-01` are names here). A key that stands twice, an octal number,
a date and a tag are refused, since YAML 1.1 makes of them what their writer does not see.
"""

import json
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from florilegium.core.errors import UserError

# The workflow reads its files whenever it starts, which takes a second without the loader in C.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
LARGEST = 16 * 2**20  # bytes of a file
DEEPEST = 100  # levels of lists and mappings; the loader in C crashes at some ten thousand
MOST = 1_000_000  # values, those of aliases counted wherever they are used
TAG = "tag:yaml.org,2002:"
PLAIN = {f"{TAG}{name}" for name in ("null", "bool", "int", "float", "str")}
MARKS = {b"\xff\xfe\x00\x00": "UTF-32", b"\x00\x00\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_yaml(path: Path, where: str = "") -> dict[str, Any]:
    """A YAML file, or one of JSON, as a mapping; an empty file is an empty mapping.

    Args:
        where: the file's name in messages, instead of its path.

    Raises:
        UserError: the file is missing, no file, unreadable, not UTF-8, too large, or not YAML of `key: value` lines.
    """
    where = where or str(path)
    text = _text(path, where)
    value = _json(text, where) if text.lstrip().startswith("{") else None
    if value is None:
        value = read_text(text, where)
    if value is None:
        return {}
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "a single value"
        kind += " (a space belongs behind the colon)" if re.match(r"[\w.]+:[^ ]", str(value)) else ""
        raise UserError(f"{where}: must hold `key: value` lines, and holds {kind}")
    return value


def _text(path: Path, where: str) -> str:
    """The text of a file in UTF-8, without its byte-order mark."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f"{where}: is a folder; give a YAML file")
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{where}: is no regular file; give a YAML file")
        if status.st_size > LARGEST:
            size = f"{status.st_size / 2**20:,.0f} MB, and a file of configuration has {LARGEST // 2**20} at most"
            raise UserError(f"{where}: has {size}; give the right one")
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        broken = path.is_symlink()
        raise UserError(f"{where}: {'is a link to nothing' if broken else 'there is no such file'}") from None
    except PermissionError:
        raise UserError(f"{where}: may not be read; give yourself the permission (chmod u+r)") from None
    except (OSError, ValueError) as error:  # a name too long, a circle of links, a NUL
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{where}: cannot be read ({reason}); give another path") from None
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), None)
    if encoding is None and b"\0" in content:
        encoding = "UTF-16" if content.count(b"\0") > len(content) // 4 else "binary"
    if encoding is not None:
        kind = "no text" if encoding == "binary" else f"text in {encoding}"
        raise UserError(f"{where}: is {kind}, and must be UTF-8; save it in that encoding")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte {content[error.start]:#04x}"
        raise UserError(f"{where} line {line}: is not UTF-8 ({byte}); save the file in that encoding") from None


def _json(text: str, where: str) -> Any:
    """The value of a text in JSON, which Snakemake reads as such; None for any other text."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in items]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise UserError(f"{where}: the key {twice} stands twice in one place; take one out")
        return dict(items)

    try:
        return json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return None


def read_text(text: str, where: str) -> Any:
    """The value of a text in YAML; None for an empty one. Raises `UserError`, which starts with `where`."""
    try:
        if _may_be_deep(text):
            _check_depth(text, where)
        loader = LOADER(text)
        try:
            node = loader.get_single_node()
            return None if node is None else _Reader(loader, where).value(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise UserError(_problem(error, text, where)) from None


def _may_be_deep(text: str) -> bool:
    """A cheap test that every text passes which is deeper than `DEEPEST`: by its indentation, by marks of lists and
    keys in one line, and by brackets, those in quotes and comments counted as well."""
    limit = DEEPEST // 4
    for line in text.splitlines():
        if len(line) - len(line.lstrip(" ")) > limit or line.count("- ") + line.count("? ") > limit:
            return True
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        if depth > limit:
            return True
    return False


def _check_depth(text: str, where: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise UserError(f"{where} line {line}: is nested more than {DEEPEST} levels deep; mend its brackets")


def _problem(error: yaml.YAMLError, text: str, where: str) -> str:
    """A sentence for what the parser refuses."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    lines = text.splitlines()
    number = mark.line if mark else None
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read")
    place = f"{where} line {number + 1}" if number is not None else where
    nearby = lines[max(0, (number or 0) - 1) : (number or 0) + 1]
    if "another document" in problem:
        return f"{place}: a second document begins; keep one, without lines of ---"
    if "\t" in problem or any("\t" in line[: len(line) - len(line.lstrip())] for line in nearby):
        return f"{place}: is indented by a tab, and YAML wants spaces; replace it by spaces"
    if "alias" in problem:
        return f"{place}: {problem}; define it above, or write the value in quotes"
    if "control characters" in problem or "special characters" in problem:
        return f"{place}: holds a control character; take it out"
    return f"{place}: not valid YAML ({problem}); mend that line"


def is_glued(key: str) -> str | None:
    """What is wrong with a key that was meant as a key and its value, such as `lr:0.1`."""
    parts = re.fullmatch(r"([A-Za-z_]\w*):([^\s/].*)", key)
    return (
        f"{key} is a single name, for a space belongs behind the colon; write {parts[1]}: {parts[2]}" if parts else None
    )


class _Reader:
    """The values of a tree of nodes."""

    def __init__(self, loader: Any, where: str) -> None:
        self.loader, self.where = loader, where
        self.sizes: dict[int, int] = {}  # values below a node, by its id; 0 while it is being read
        self.made: dict[int, Any] = {}

    def value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            self.sizes[id(node)] = 1
            return self._scalar(node)
        if self.sizes.get(id(node)) == 0:
            raise self._error(node, "refers to itself by its alias; write the values out")
        if id(node) not in self.made:
            self.sizes[id(node)] = 0
            if node.tag not in (f"{TAG}map", f"{TAG}seq"):
                raise self._unknown_tag(node)
            is_list = isinstance(node, yaml.SequenceNode)
            self.made[id(node)] = [self.value(item) for item in node.value] if is_list else self._mapping(node)
            below = node.value if is_list else [value for _, value in node.value]
            self.sizes[id(node)] = 1 + sum(self.sizes[id(item)] for item in below)
            if self.sizes[id(node)] > MOST:
                raise self._error(node, f"its aliases stand for more than {MOST:,} values; write fewer")
        return self.made[id(node)]

    def _mapping(self, node: yaml.Node) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.startswith("!"):
                raise self._error(key_node, "a key must be text; mend that line")
            key = str(key_node.value)
            if key in lines:
                raise self._error(key_node, f"the key {key} stands twice (first in line {lines[key]}); take one out")
            lines[key] = key_node.start_mark.line + 1
            if key_node.style is None and value_node.value == "" and (glued := is_glued(key)):
                raise self._error(key_node, glued)
            value = self.value(value_node)
            if key_node.tag == f"{TAG}merge":
                merged = self._merged(value_node, value)
            else:
                own[key] = value
        return merged | own

    def _merged(self, node: yaml.Node, value: Any) -> dict[str, Any]:
        """The keys that `<<` takes over: of a mapping, or of several, of which the first wins."""
        parts = value if isinstance(value, list) else [value]
        merged: dict[str, Any] = {}
        for part in reversed(parts):
            if not isinstance(part, dict):
                raise self._error(node, "<< takes over the keys of a mapping, or of a list of mappings; give one")
            merged |= part
        return merged

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        written = str(node.value)
        tag = str(node.tag)
        if tag in (f"{TAG}value", f"{TAG}merge"):
            return written
        if tag == f"{TAG}timestamp":
            raise self._error(node, f"{written} is read as a date; if it is text, write it in quotes")
        if tag not in PLAIN:
            raise self._unknown_tag(node)
        if tag in (f"{TAG}int", f"{TAG}float"):
            if ":" in written:
                raise self._error(
                    node, f"{written} is read as a number to the base 60; if it is text, write it in quotes"
                )
            if re.fullmatch(r"[-+]?0[0-9_]+", written):
                plain = written.replace("0", "", 1) or "0"
                raise self._error(
                    node, f"{written} is read as an octal number; write {plain}, or in quotes if it is text"
                )
            if len(written) > 400:
                raise self._error(node, f"a number of {len(written):,} digits; write a smaller one")
        try:
            return self.loader.construct_object(node)
        except (ValueError, KeyError):
            kind = tag.removeprefix(TAG)
            raise self._error(node, f"{written[:60]} cannot be read as !!{kind}; take that tag out") from None

    def _unknown_tag(self, node: yaml.Node) -> UserError:
        tag = f"!!{node.tag.removeprefix(TAG)}" if node.tag.startswith(TAG) else node.tag
        return self._error(node, f"the tag {tag} is not allowed here; write plain values, and text with ! in quotes")

    def _error(self, node: yaml.Node, problem: str) -> UserError:
        return UserError(f"{self.where} line {node.start_mark.line + 1}: {problem}")
