"""The base of all configuration models: strict parsing, and errors that name the file and the key."""

import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from florilegium.core.errors import UserError, unknown

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")]
Split = Literal["train", "val", "test"]
# YAML has lists alone, which become tuples here.
Texts = Annotated[tuple[str, ...], Field(strict=False)]
Names = Annotated[tuple[Name, ...], Field(strict=False)]
Counts = Annotated[tuple[Count, ...], Field(strict=False)]
Splits = Annotated[tuple[Split, ...], Field(strict=False)]


class Strict(BaseModel):
    """Base of every configuration model: unknown keys are errors, values are immutable, and text is no number (YAML
    reads `1e-4` as text: write `1.0e-4`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


M = TypeVar("M", bound=BaseModel)
# Study files are read whenever the workflow starts, which takes a second without the loader in C.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file as a mapping; an empty file is an empty mapping."""
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise UserError(f"{path}{line}: not valid YAML ({problem}); mend that line") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{path}: must hold `key: value` lines, and holds a {type(value).__name__}")
    return value


def parse(model: type[M], value: Mapping[str, Any], where: str) -> M:
    """`value` as `model`; the first thing wrong becomes a `UserError` that starts with `where`."""
    try:
        return model.model_validate(dict(value))
    except ValidationError as error:
        raise UserError(_sentence(model, error, where)) from None


def _sentence(model: type[BaseModel], error: ValidationError, where: str) -> str:
    """The first problem of a validation: its key, its value, and what is allowed."""
    first = error.errors()[0]
    location = _location(first)
    key = ".".join(map(str, location))
    if first["type"] == "extra_forbidden":
        owner = _model_at(model, location[:-1])
        place = ".".join([where, *map(str, location[:-1])])
        return str(unknown("key", str(location[-1]), owner.model_fields if owner else (), place))
    if first["type"] == "value_error":
        return f"{where}: {key + ': ' if key else ''}{first['ctx']['error']}"
    if first["type"] == "missing":
        return f"{where}: the key {key} is missing"
    # One message for each member of a union.
    messages = dict.fromkeys(other["msg"] for other in error.errors() if _location(other) == location)
    problem = " or ".join(message[0].lower() + message[1:] for message in messages)
    return f"{where}: {key} = {first['input']!r}: {problem}{_hint(first['input'])}"


def _location(error: Mapping[str, Any]) -> list[Any]:
    """The keys down to the wrong value, without pydantic's names for validators and members of a union."""
    tags = ("function-", "literal[", "constrained-")
    return [part for part in error["loc"] if not str(part).startswith(tags)]


def retyped(value: Any) -> Any:
    """`value` with numbers, booleans and null for texts, as which Snakemake passes nested values of its options."""
    if isinstance(value, Mapping):
        return {key: retyped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [retyped(item) for item in value]
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?|true|false|null", value):
        try:
            return float(value) if re.search("[0-9]e", value) else yaml.safe_load(value)
        except ValueError:
            return value
    return value


def _hint(value: Any) -> str:
    """The right form of a number that YAML 1.1 reads as text, such as `1e-4`."""
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]+e[-+]?[0-9]+", value):
        mantissa, _, exponent = value.partition("e")
        return f" (YAML reads {value} as text: write {mantissa}.0e{exponent})"
    return ""


def _model_at(model: type[BaseModel], location: Sequence[Any]) -> type[BaseModel] | None:
    """The model whose keys stand at `location` below `model`."""
    annotation: Any = model
    for part in location:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(part))
            annotation = _unwrap(field.annotation) if field else None
        elif get_origin(annotation) in (dict, tuple, list):
            arguments = [a for a in get_args(annotation) if a is not Ellipsis]
            annotation = _unwrap(arguments[-1])
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _unwrap(annotation: Any) -> Any:
    """`X` for `X | None`."""
    if get_origin(annotation) in (Union, types.UnionType):
        return next(a for a in get_args(annotation) if a is not type(None))
    return annotation
