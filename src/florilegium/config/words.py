"""What is wrong with a value of the configuration, in words of YAML: no type of a library is named."""

import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from florilegium.core.errors import counted, nearest, unknown

LISTS = {"tuple_type", "list_type", "too_short", "too_long", "missing"}
LONGEST = 60  # characters of a value in a sentence
ENOUGH = 20  # values of a list in a hint


def sentences(model: type[BaseModel], error: ValidationError) -> list[tuple[tuple[Any, ...], str]]:
    """The keys down to each mistake of a validation, and the mistake in words."""
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for problem in error.errors(include_url=False):
        found.setdefault(_location(model, problem), []).append(problem)
    kept = {place: of for place, of in found.items() if not _follows(place, of, found, model)}
    lacking: dict[tuple[Any, ...], list[str]] = {}
    for place, problems in kept.items():
        if _is_missing(place, problems):
            lacking.setdefault(place[:-1], []).append(str(place[-1]))
    told = [(place, _sentence(model, place, of)) for place, of in kept.items() if not _is_missing(place, of)]
    return told + [(above, _lacks(above, keys)) for above, keys in lacking.items()]


def _is_missing(place: tuple[Any, ...], problems: Sequence[Mapping[str, Any]]) -> bool:
    """True for a key that is missing; a list of fixed length that lacks a value is another mistake."""
    first = problems[0]
    return str(first["type"]) == "missing" and tuple(first["loc"][-1:]) == place[-1:]


def _lacks(above: tuple[Any, ...], keys: list[str]) -> str:
    place = f"{'.'.join(map(str, above))}: " if above else ""
    if len(keys) == 1:
        return f"{place}the key {keys[0]} is missing"
    return f"{place}the keys {', '.join(keys[:-1])} and {keys[-1]} are missing"


def _follows(
    place: tuple[Any, ...],
    problems: list[Mapping[str, Any]],
    found: Mapping[tuple[Any, ...], list[Mapping[str, Any]]],
    model: type[BaseModel],
) -> bool:
    """True for what another mistake explains: what stands below a wrong name, a key that is missing because it is
    misspelt beside, or a member of a union whose other member has the mistake further down."""
    if any(_is_of_a_name(found[place[:end]][0]) for end in range(len(place)) if place[:end] in found):
        return True
    if _is_of_a_name(problems[0]):
        return False
    if any(len(other) > len(place) and other[: len(place)] == place for other in found):
        return True
    if {problem["type"] for problem in problems} != {"missing"} or isinstance(place[-1], int):
        return False
    owner = _model_at(model, place[:-1])
    keys = owner.model_fields if owner else ()
    beside = [str(other[-1]) for other in found if other[:-1] == place[:-1] and str(other[-1]) not in keys]
    return any(nearest(key, keys) == nearest(str(place[-1]), [str(place[-1])]) for key in beside)


def _is_of_a_name(problem: Mapping[str, Any]) -> bool:
    """True for a mistake of a key that people choose, and not of the value below it."""
    return tuple(problem["loc"][-1:]) == ("[key]",)


def _sentence(model: type[BaseModel], place: tuple[Any, ...], problems: list[Mapping[str, Any]]) -> str:
    """The keys of a mistake, the value that stands there, and what it must be."""
    first = problems[0]
    key = ".".join(map(str, place))
    above = ".".join(map(str, place[:-1]))
    if first["type"] == "extra_forbidden":
        owner = _model_at(model, place[:-1])
        known = owner.model_fields if owner else ()
        way_out = getattr(owner, "belongs", lambda key: "")(str(place[-1]))
        return f"{unknown('key', str(place[-1]), known, above)}{way_out}"
    if first["type"] == "value_error":
        return f"{key + ': ' if key else ''}{first['ctx']['error']}"
    if _is_of_a_name(first):
        return f"{above + ': ' if above else ''}the name {shown(place[-1])} {wanted(problems)}"
    if {problem["type"] for problem in problems} & LISTS:
        return f"{key} = {shown(first['input'])}: {_wanted_list(first, _annotation_at(model, place))}"
    return f"{key} = {shown(first['input'])}: {wanted(problems)}"


# Where


def _location(model: type[BaseModel], problem: Mapping[str, Any]) -> tuple[Any, ...]:
    """The keys down to a wrong value, without pydantic's names for validators and for members of a union."""
    annotation: Any = model
    place: list[Any] = []
    for part in problem["loc"]:
        members = _members(annotation)
        if len(members) > 1:
            annotation = next((m for m in members if getattr(m, "__name__", "") in str(part)), None)
            continue
        if isinstance(part, str) and part.startswith("function-"):
            continue
        place.append(part)
        annotation = _below(members[0] if members else None, part)
    # A list of fixed length lacks its last places: that is a mistake of the list.
    if problem["type"] == "missing" and isinstance(place[-1], int):
        place.pop()
    if place[-1:] == ["[key]"]:
        place.pop()
    return tuple(place)


def _members(annotation: Any) -> list[Any]:
    """The types that a value may have, other than null."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [m for arg in get_args(annotation) if arg is not type(None) for m in _members(arg)]
    return [annotation]


def _below(annotation: Any, part: Any) -> Any:
    """The type of the value at a key, or at a place of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field else None
    if get_origin(annotation) in (dict, tuple, list):
        return [a for a in get_args(annotation) if a is not Ellipsis][-1]
    return None


def _annotation_at(model: type[BaseModel], place: Sequence[Any]) -> Any:
    """The type of the value at `place` below `model`."""
    annotation: Any = model
    for part in place:
        annotation = _below(_members(annotation)[0], part)
    return annotation


def _model_at(model: type[BaseModel], place: Sequence[Any]) -> type[BaseModel] | None:
    """The model whose keys stand at `place` below `model`."""
    members = _members(_annotation_at(model, place))
    return next((m for m in members if isinstance(m, type) and issubclass(m, BaseModel)), None)


# What


def shown(value: Any) -> str:
    """A value as YAML writes it, in one line, cut where it is long."""
    try:
        text = str(yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False))
    except (yaml.YAMLError, RecursionError):
        text = str(value)
    text = " ".join(text.removesuffix("...\n").split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def wanted(problems: Sequence[Mapping[str, Any]]) -> str:
    """What a value must be; of the members of a union, one or the other."""
    value = problems[0]["input"]
    kinds = list(dict.fromkeys(_kind(problem) for problem in problems))
    choices = [kind for kind in kinds if not kind.startswith("one of ") or len(kinds) == 1]
    choices += [kind for kind in kinds if kind not in choices]
    return f"must be {', or '.join(choices)}{_hint(value, problems)}"


def _kind(problem: Mapping[str, Any]) -> str:
    """What a value must be, for one of pydantic's problems."""
    kind, about = str(problem["type"]), problem.get("ctx", {})
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", about["expected"]) or [about["expected"]]
        return names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    limits = {
        "greater_than": ("greater than", "gt"),
        "greater_than_equal": ("at least", "ge"),
        "less_than": ("less than", "lt"),
        "less_than_equal": ("at most", "le"),
        "multiple_of": ("a multiple of", "multiple_of"),
    }
    if kind in limits:
        words, name = limits[kind]
        limit = about[name]
        return f"{words} {int(limit) if limit == int(limit) else limit}"
    if kind == "string_too_long":
        return f"text of at most {about['max_length']} characters"
    if kind == "string_too_short":
        return f"text of at least {about['min_length']} characters"
    return WORDS.get(kind) or WORDS[next((part for part in WORDS if kind.startswith(part)), "other")]


WORDS = {
    "string_pattern_mismatch": "a name of letters, digits, _, - and ., that begins with a letter, a digit or _",
    "finite_number": "a finite number",
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "`key: value` lines",
    "mapping": "`key: value` lines",
    "model": "`key: value` lines",
    "none_required": "null",
    "other": "another value",
}
"""What a value must be by the beginning of pydantic's name for the problem."""


def _wanted_list(problem: Mapping[str, Any], annotation: Any) -> str:
    """What a list must be, and the value as such a list."""
    items = [m for m in _members(annotation) if get_origin(m) in (tuple, list)]
    arguments = get_args(items[0]) if items else ()
    value, about = problem["input"], problem.get("ctx", {})
    if arguments and Ellipsis not in arguments and len(arguments) > 1:
        return f"must be a list of {len(arguments)} values"
    if problem["type"] in ("too_short", "too_long"):
        number = about.get("min_length", about.get("max_length"))
        side = "least" if problem["type"] == "too_short" else "most"
        return f"must hold at {side} {counted(number, 'value')}"
    hint = "; give one, or take the key out" if value is None else ""
    return f"must be a list{hint or _as_list(value, _members(arguments[0])[0] if arguments else None)}"


# The right form


def _hint(value: Any, problems: Sequence[Mapping[str, Any]]) -> str:
    """The nearest right word, or a form of the value that YAML reads as what is wanted."""
    kinds = {str(problem["type"]) for problem in problems}
    if value is None:
        return "; give a value, or take the key out"
    if isinstance(value, str) and kinds & {"int_type", "float_type"}:
        whole = "float_type" not in kinds
        if form := number_form(value, whole=whole):
            why = "" if yaml.safe_load(form) == _plain(value) else f"YAML reads {value.strip()} as text: "
            return f" ({why}write {form}{' without quotes' if not why else ''})"
    if isinstance(value, str) and "literal_error" in kinds:
        names = [n for p in problems for n in re.findall(r"'([^']*)'", p.get("ctx", {}).get("expected", ""))]
        alike = nearest(value, names)
        return alike if len(names) > 1 else ""
    if "bool_type" in kinds:
        meant = {"true": "true", "false": "false", "1": "true", "0": "false"}.get(str(value).strip().lower())
        return f"; write {meant}{' without quotes' if isinstance(value, str) else ''}" if meant else ""
    if "int_type" in kinds and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    if kinds & {"string_type"}:
        return _as_text(value)
    return ""


def _plain(text: str) -> Any:
    """What YAML reads where `text` stands without quotes."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return text


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "; YAML reads yes, no, on and off as true and false: write it in quotes"
    if isinstance(value, int | float):
        return f"; write it in quotes, '{shown(value)}'"
    return ""


def _as_list(value: Any, item: Any) -> str:
    """A hint that puts single values between brackets, where they then are what the list holds."""
    texts = [part.strip() for part in value.strip("[]() ").split(",")] if isinstance(value, str) else [value]
    if item in (int, float):
        span = re.fullmatch(r"(\d+) ?(?:-|–|\.\.+|:|to) ?(\d+)", texts[0]) if isinstance(value, str) else None
        if span and len(texts) == 1 and 0 < int(span[2]) - int(span[1]) < ENOUGH:
            texts = [str(number) for number in range(int(span[1]), int(span[2]) + 1)]
        forms = [number_form(str(part), whole=item is int) for part in texts if not isinstance(part, bool)]
        return f"; write [{', '.join(form for form in forms if form)}]" if forms and all(forms) else ""
    if not isinstance(value, str) or not value.strip():
        return ""
    fits = item is str or (get_origin(item) is Literal and set(texts) <= set(get_args(item)))
    return f"; write [{', '.join(texts)}]" if fits else ""


# Numbers that somebody wrote as text


def number_form(text: str, *, whole: bool = False) -> str | None:
    """A number that somebody wrote as text, in a form that YAML reads as that number; None for no number.

    `1e4` is 1.0e+4, `0,5` is 0.5, `50%` is 0.5, `1/3` is 0.3333333333333333 and `1,000` is 1000.

    Args:
        whole: a whole number is wanted, so that `1e4` is 10000.
    """
    written = text.strip().strip("'\"").replace("−", "-")
    value = _number(written)
    if value is None or abs(value) > 1e300 or (whole and not value.is_integer()):
        return None
    if whole or (value.is_integer() and not re.search("[eE.]", written)):
        return str(int(value))
    scientific = re.fullmatch(r"([-+]?)([0-9]*)(?:\.([0-9]*))?[eE]([-+]?)([0-9]+)", written)
    if scientific:
        sign, digits, decimals, exponent_sign, exponent = scientific.groups()
        return f"{sign}{digits or 0}.{decimals or 0}e{exponent_sign or '+'}{exponent}"
    return str(yaml.safe_dump(value)).removesuffix("\n...\n").strip()


def _number(written: str) -> float | None:
    """The number that a text stands for, as people write numbers; None for other text."""
    if re.fullmatch(r"[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", written):
        written = written.replace(",", "")
    elif re.fullmatch(r"[-+]?[0-9]*,[0-9]+", written):
        written = written.replace(",", ".")
    divided = re.fullmatch(r"([-+]?[0-9.]+) ?(/|%) ?([0-9.]*)", written)
    power = re.fullmatch(r"(?:([-+]?[0-9.]+) ?[*x×·] ?)?10(?:\^|\*\*)([-+]?[0-9]{1,3})", written)
    try:
        if divided and (divided[2] == "/") == bool(divided[3]):
            return float(divided[1]) / (float(divided[3]) if divided[3] else 100)
        if power:
            return float(f"{power[1] or 1}e{power[2]}")
        if re.fullmatch(r"0[oO][0-7]+", written):
            return float(int(written, 8))
        value = float(written)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return value if value - value == 0 else None
