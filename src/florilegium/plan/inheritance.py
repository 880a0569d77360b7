"""What an experiment entry inherits from its bases, spread over its grid."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from florilegium.core.errors import UserError, unknown
from florilegium.core.schema import ArmEntry, ExperimentEntry
from florilegium.core.tasks import TaskName
from florilegium.plan.layers import SECTIONS, Layer, values_of

DEFAULT_ARM = "corrected"


def spread(
    name: str, entries: Mapping[str, ExperimentEntry], where: str
) -> Iterator[tuple[str, list[Layer], dict[str, ArmEntry]]]:
    """The inherited layers of an experiment, once for each point of its grid."""
    chain = _ancestors(name, entries, where)
    layers = [Layer(where, values_of(entry)) for entry in chain]
    arms = next((entry.arms for entry in reversed(chain) if entry.arms), {DEFAULT_ARM: ArmEntry()})
    grid = entries[name].grid
    for point in itertools.product(*grid.values()):
        values: dict[str, Any] = {}
        suffix = ""
        for path, value in zip(grid, point, strict=True):
            section, _, key = path.partition(".")
            if section not in SECTIONS or not key:
                raise UserError(
                    f"{where}: experiments.{name}.grid: '{path}' must be one of "
                    f"{', '.join(SECTIONS)} and a key, such as recipe.lr"
                )
            values.setdefault(section, {})[key] = value
            suffix += f"_{key}{text(value)}"
        yield suffix, [*layers, Layer(where, values)], dict(arms)


def text(value: Any) -> str:
    """A value as it stands in a name: the shortest text that is read back as the same number."""
    if not isinstance(value, float):
        return str(value)
    plain = repr(value).removesuffix(".0")
    mantissa, _, exponent = f"{value:.16e}".partition("e")
    short = f"{float(mantissa):.12g}e{int(exponent)}"
    return short if float(short) == value and len(short) < len(plain) else plain


def task_of(name: str, entries: Mapping[str, ExperimentEntry], where: str) -> TaskName:
    named = [entry.task for entry in _ancestors(name, entries, where) if entry.task]
    return named[-1] if named else "classification"


def inherited(name: str, key: str, entries: Mapping[str, ExperimentEntry], where: str) -> str:
    """A text of the entry, or else of the nearest base that has one."""
    found = (getattr(entry, key) for entry in reversed(_ancestors(name, entries, where)))
    return next(filter(None, found), "")


def _ancestors(name: str, entries: Mapping[str, ExperimentEntry], where: str) -> list[ExperimentEntry]:
    """The entry and its bases, the furthest base first."""
    chain: list[str] = []
    current: str | None = name
    while current is not None:
        if current not in entries:
            raise unknown("base", current, entries, f"{where}: experiments.{chain[-1]}")
        if current in chain:
            raise UserError(
                f"{where}: experiments.{name}: its bases form a circle ({' -> '.join([*chain, current])})"
            )
        chain.append(current)
        current = entries[current].base
    return [entries[n] for n in reversed(chain)]
