"""Entries of a study file: their bases, the points of their grids, their arms, and the names that come of these."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from florilegium.config.base import LONGEST_NAME
from florilegium.config.experiment import Experiment
from florilegium.config.study import ArmEntry, ExperimentEntry, Sections, StudyFile
from florilegium.core.errors import Mistakes, UserError, unknown

DEFAULT_ARM = "corrected"
SECTIONS = ("data", "model", "recipe")
PRODUCTS = ("attention", "attribution", "samples")
FIGURES = "figures"
SEED = re.compile(r"seed\d+")
IN_NAME = re.compile(r"[A-Za-z0-9_.+-]+")
Arm = tuple[str, str]


@dataclass(frozen=True)
class Layer:
    """The sections that one file sets for one experiment.

    Attributes:
        place: the file and the key in it that holds the sections, for error messages.
        is_general: it is for several experiments, so that it changes their products (attention, attribution, samples)
            but does not add any.
    """

    place: str
    sections: Mapping[str, Any]
    is_general: bool = False

    @classmethod
    def of(cls, place: str, entry: Sections, *, is_general: bool = False) -> "Layer":
        return cls(place, {name: getattr(entry, name) for name in (*SECTIONS, "init", *PRODUCTS)}, is_general)


@dataclass(frozen=True)
class PlacedArm:
    """An arm of an experiment.

    Attributes:
        fields: of the file that the arm is from, and over them those that overlays set; without sections.
        place: where the arm stands.
        places: for fields that stand elsewhere, where.
    """

    entry: ArmEntry
    fields: Mapping[str, Any]
    place: str
    places: Mapping[str, str] = field(default_factory=dict)

    def place_of(self, name: str) -> str:
        """Where a field of the arm stands."""
        return self.places.get(name, self.place)


@dataclass(frozen=True)
class Point:
    """One point of an experiment's grid: the end of its name, the value of each axis, its layers, its arms."""

    suffix: str
    values: Mapping[str, Any]
    layers: list[Layer]
    arms: Mapping[str, PlacedArm]


@dataclass(frozen=True)
class LoadedStudy:
    """A study file: its name, which is the first folder of its results, its path for error messages, its content."""

    name: str
    where: str
    file: StudyFile

    def own(self, experiments: Iterable[Experiment]) -> list[Experiment]:
        """Those of the experiments that belong to the study."""
        return [e for e in experiments if e.study == self.name]

    def place(self, name: str) -> str:
        """Where an entry stands."""
        return f"{self.where}: experiments.{name}"

    def runnable(self) -> list[str]:
        """The entries that are experiments, and no mere bases of others."""
        return [name for name, entry in self.file.experiments.items() if not entry.abstract]

    def arms_of(self, name: str) -> Mapping[str, ArmEntry]:
        """The arms of an entry, or of the nearest base that has some. Raises `UserError` for a wrong base."""
        return next((entry.arms for entry in reversed(self.ancestors(name)) if entry.arms), {DEFAULT_ARM: ArmEntry()})

    def arms(self) -> set[Arm]:
        """(experiment, arm) of everything in the file, with those that a preset leaves out."""
        return {
            (point, arm) for name in self.runnable() for point in self.points_of(name) for arm in self.arms_of(name)
        }

    def points_of(self, name: str) -> list[str]:
        """The names of an entry's experiments: one for each point of its grid."""
        grid = self.file.experiments[name].grid
        return [
            name
            + "".join(f"_{path.partition('.')[2]}{in_name(value)}" for path, value in zip(grid, point, strict=True))
            for point in itertools.product(*grid.values())
        ]

    def ancestors(self, name: str) -> list[ExperimentEntry]:
        """The entry and its bases, the furthest base first.

        Raises:
            UserError: an unknown base, or a circle.
        """
        return [self.file.experiments[n] for n in self._chain(name)]

    def _chain(self, name: str) -> list[str]:
        entries = self.file.experiments
        chain: list[str] = []
        current: str | None = name
        while current is not None:
            if current not in entries:
                raise unknown("base", current, entries, f"{self.place(chain[-1])}.base")
            if current in chain:
                circle = chain[chain.index(current) :]
                first = circle.index(min(circle))  # so that all that are in it, or lead to it, say the same
                way = " -> ".join([*circle[first:], *circle[:first], circle[first]])
                raise UserError(f"{self.place(circle[first])}: its bases form a circle ({way}); take one of them out")
            chain.append(current)
            current = entries[current].base
        return chain[::-1]

    def points(self, name: str) -> Iterator[Point]:
        """The points of an experiment's grid; a single one without a grid.

        Raises:
            UserError: an unknown base, or a circle.
        """
        chain = self._chain(name)
        layers = [Layer.of(self.place(n), self.file.experiments[n]) for n in chain]
        owner = next((n for n in reversed(chain) if self.file.experiments[n].arms), name)
        arms = {
            arm: PlacedArm(entry, fields_of(entry), f"{self.place(owner)}.arms.{arm}")
            for arm, entry in self.arms_of(name).items()
        }
        grid = self.file.experiments[name].grid
        for end, values in zip(self.points_of(name), itertools.product(*grid.values()), strict=True):
            point = dict(zip(grid, values, strict=True))
            sections: dict[str, Any] = {}
            for path, value in point.items():
                section, _, key = path.partition(".")
                sections.setdefault(section, {})[key] = value
            yield Point(end.removeprefix(name), point, [*layers, Layer(f"{self.place(name)}.grid", sections)], arms)


def fields_of(arm: ArmEntry) -> dict[str, Any]:
    """What an arm sets beside its sections."""
    return {name: getattr(arm, name) for name in ("note", "lr_factor", "published", "baseline", "seeds")}


def in_name(value: Any) -> str:
    """A value in a name: the shortest text that reads back as the same number."""
    if not isinstance(value, float):
        return str(value)
    plain = repr(value).removesuffix(".0")
    mantissa, _, exponent = f"{value:.16e}".partition("e")
    short = f"{float(mantissa):.12g}e{int(exponent)}"
    return short if float(short) == value and len(short) < len(plain) else plain


def check_entries(study: LoadedStudy) -> None:
    """Raise `UserError` or `UserErrors` for a study without experiments, a wrong base, a grid that gives no experiment
    or none that a folder can be named after, and for two experiments or arms of one name."""
    mistakes = Mistakes()
    with mistakes.caught():
        if not study.runnable():
            raise UserError(f"{study.where}: experiments: holds none that is run; add one that is not abstract")
    for name, entry in study.file.experiments.items():
        with mistakes.caught():
            study.ancestors(name)
        for path, values in entry.grid.items():
            with mistakes.caught():
                _check_axis(path, values, f"{study.place(name)}.grid")
        if entry.abstract and entry.grid:
            with mistakes.caught():
                raise UserError(
                    f"{study.place(name)}.grid: is of an abstract entry, and grids are not inherited, so it is "
                    "never used; move it to the experiments that use it"
                )
    mistakes.refuse()
    points = [point for name in study.runnable() for point in study.points_of(name)]
    _check_names(points, f"{study.where}: experiments", "experiments")
    for name, entry in study.file.experiments.items():
        _check_names(list(entry.arms), f"{study.place(name)}.arms", "arms")


def _check_axis(path: str, values: list[Any], where: str) -> None:
    """Raise `UserError` for one key of a grid that is no key of a section, or whose values give no names."""
    section, _, key = path.partition(".")
    if section not in SECTIONS or not key:
        raise UserError(f"{where}: '{path}' must be one of {', '.join(SECTIONS)} and a key, such as recipe.lr")
    if not values:
        raise UserError(f"{where}.{path}: holds no value, so the experiment would vanish; give one or take it out")
    names = [in_name(value) for value in values]
    times = Counter(names)
    for value, name in zip(values, names, strict=True):
        if isinstance(value, list | dict) or not IN_NAME.fullmatch(name):
            raise UserError(
                f"{where}.{path}: {value!r} cannot stand in the name of an experiment; write an experiment for it"
            )
        if times[name] > 1:
            raise UserError(f"{where}.{path}: holds {value!r} twice; take one out")


def _check_names(names: list[str], where: str, kind: str) -> None:
    """Raise `UserError` or `UserErrors` for experiments, or arms, that are one folder on some systems or on all, or a
    folder or file that is made for something else."""
    mistakes = Mistakes()
    seen: dict[str, str] = {}
    times = Counter(names)
    for name in names:
        with mistakes.caught():
            check_folder_name(name, where, kind)
        other = seen.setdefault(name.casefold(), name)
        with mistakes.caught():
            if other == name and times[name] > 1:
                raise UserError(f"{where}: two {kind} are called {name} (a grid names its points); rename one")
            if other != name:
                raise UserError(
                    f"{where}: {other} and {name} are one folder on macOS and Windows; give one of them another name"
                )
    mistakes.refuse()


def check_folder_name(name: str, where: str, kind: str) -> None:
    """Raise `UserError` for a name of an experiment, or an arm, that the files of a study or of a run need."""
    if kind == "experiments" and (name.casefold() == FIGURES or name.casefold().endswith(".csv")):
        raise UserError(f"{where}: {name} is the folder of figures, or a table, of the study; give it another name")
    if len(name) > LONGEST_NAME:
        raise UserError(
            f"{where}: {name[:40]}… has {len(name)} characters, and a name has {LONGEST_NAME} at most; make it shorter"
        )
    if SEED.fullmatch(name.casefold()):
        raise UserError(f"{where}: {name} is what the folders of runs are called; give it another name")
