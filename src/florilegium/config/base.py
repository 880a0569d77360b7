"""The base of all configuration models: strict parsing, and errors that name the file and the key."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from florilegium.config.reading import read_yaml as read_yaml
from florilegium.config.words import sentences, shown
from florilegium.core.errors import Mistakes, UserError, UserErrors
from florilegium.core.names import spelt

LONGEST_NAME = 100  # characters: names become folders and parts of file names, which have 255 at most
TOO_MANY = 2**31
LARGEST_SEED = 2**63 - 1
T = TypeVar("T")


def distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    """The values; raises `ValueError` for one that stands twice."""
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"{shown(value)} stands twice; take one out")
    return values


def number_as_text(value: Any) -> Any:
    """A whole number as its digits: classes are often called 1, 2, 3."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
# Below `lt`, so that a field may have a limit of its own: of two `le` the second one would not hold.
Count = Annotated[int, Field(ge=0, lt=TOO_MANY)]
AtLeastOne = Annotated[int, Field(ge=1, lt=TOO_MANY)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=LONGEST_NAME)]
ClassName = Annotated[str, BeforeValidator(number_as_text), AfterValidator(spelt)]
Split = Literal["train", "val", "test"]
# YAML has lists alone, which become tuples here.
Texts = Annotated[tuple[str, ...], Field(strict=False)]
Names = Annotated[tuple[Name, ...], Field(strict=False)]
Counts = Annotated[tuple[Count, ...], Field(strict=False)]
ClassNames = Annotated[tuple[ClassName, ...], Field(strict=False), AfterValidator(distinct)]
Seeds = Annotated[tuple[Seed, ...], Field(strict=False, min_length=1), AfterValidator(distinct)]
Splits = Annotated[tuple[Split, ...], Field(strict=False), AfterValidator(distinct)]
SomeSplits = Annotated[tuple[Split, ...], Field(strict=False, min_length=1), AfterValidator(distinct)]


class Strict(BaseModel):
    """Base of every configuration model: unknown keys are errors, values are immutable, numbers are finite, and text is
    no number (YAML reads `1e-4` as text: write `1.0e-4`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


M = TypeVar("M", bound=BaseModel)
Where = str | Callable[[Sequence[Any]], str]
"""The beginning of a sentence: the file, or a function from the keys down to a value to the file that sets it."""


def named(where: Where, keys: Sequence[Any]) -> str:
    """The file that sets the value at `keys`."""
    return where if isinstance(where, str) else where(keys)


def parse(model: type[M], value: object, where: Where) -> M:
    """`value` as `model`.

    Raises:
        UserError: everything that is wrong, a sentence each, which starts with `where`.
    """
    if not isinstance(value, Mapping):
        raise UserError(f"{named(where, ())}: must hold `key: value` lines, and holds {shown(value)}")
    try:
        return model.model_validate(dict(value))
    except ValidationError as error:
        found = [f"{named(where, keys)}: {sentence}" for keys, sentence in sentences(model, error)]
        raise UserErrors(list(dict.fromkeys(found))) from None


def _found(model: type[BaseModel], value: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], str]]:
    """What is wrong: the keys, and a sentence."""
    try:
        model.model_validate(dict(value))
    except ValidationError as error:
        return sentences(model, error)
    return []


def parse_rest(
    model: type[M], value: Mapping[str, Any], where: Where, mistakes: Mistakes, depths: Mapping[str, int], **blanks: Any
) -> tuple[M | None, list[tuple[Any, ...]]]:
    """`value` as `model` without what is wrong in it, so that one mistake does not hide those elsewhere.

    Args:
        mistakes: gets everything that is wrong.
        depths: for keys that hold entries of their own, the number of keys down to an entry: a mistake takes out that
            entry alone, and elsewhere its whole first key.
        blanks: values for keys that are missing.

    Returns:
        (the rest; None where nothing is left that can be read), (the keys down to everything that was taken out).
    """
    with mistakes.caught():
        return parse(model, value, where), []
    if not isinstance(value, Mapping):
        return None, []
    rest = {**blanks, **value}
    gone: list[tuple[Any, ...]] = []
    for _ in range(2):  # what belongs together is checked once its parts are right
        found = _found(model, rest)
        with mistakes.caught():
            if found and gone:
                raise UserErrors([f"{named(where, keys)}: {sentence}" for keys, sentence in found])
        if not found:
            return model.model_validate(rest), gone
        for keys, _ in found:
            path = keys[: depths.get(str(keys[0]), 1)] if keys else ()
            if not path:
                return None, gone
            rest = _without(rest, path)
            gone.append(path)
    return None, gone


def _without(value: Any, path: Sequence[Any]) -> Any:
    """A copy of nested mappings without the value at `path`; lists keep their length, with nothing at its place."""
    if not isinstance(value, Mapping) or path[0] not in value:
        return value
    rest = dict(value)
    if len(path) == 1 or not isinstance(value[path[0]], Mapping):
        del rest[path[0]]
    else:
        rest[path[0]] = _without(value[path[0]], path[1:])
    return rest


TYPED = r"[-+]?[0-9.]+(e[-+]?[0-9]+)?|true|True|TRUE|false|False|FALSE|null"  # values that a text may stand for


def retyped(value: Any) -> Any:
    """`value` with numbers, booleans and null for texts, as which Snakemake passes nested values of its options."""
    if isinstance(value, Mapping):
        return {key: retyped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [retyped(item) for item in value]
    if isinstance(value, str) and re.fullmatch(TYPED, value) and not re.fullmatch(r"[-+]?0[0-9]+", value):
        try:
            return float(value) if re.search("[0-9]e", value) else yaml.safe_load(value)
        except ValueError:
            return value
    return value
