"""Changes of presets and `config.yaml` to the experiments of a study: whom they concern, and what they do to arms."""

import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from florilegium.config.datasets import split_of
from florilegium.config.study import ArmEntry, Overlay
from florilegium.core.errors import Mistakes, UserError, unknown
from florilegium.plan.entries import Layer, LoadedStudy, PlacedArm, Point, check_folder_name, fields_of

ALIKE = 0.85  # share of the letters of two names that makes one of them look like a misspelling


@dataclass(frozen=True)
class Change:
    """The changes of one file to the experiments whose name matches a glob.

    Attributes:
        parent: the file, and the key in it below which the changes stand, for error messages.
        key: the key that holds them, below `parent`.
    """

    pattern: str
    parent: str
    key: str
    overlay: Overlay

    @property
    def where(self) -> str:
        return f"{self.parent}.{self.key}"

    def concerns(self, name: str) -> bool:
        return fnmatch.fnmatchcase(name, self.pattern)


def check_changes(study: LoadedStudy, changes: Sequence[Change]) -> None:
    """Raise `UserError` or `UserErrors` for changes to experiments, or to arms, that the study does not have.

    A new arm is one that says by a `note` what it is for.
    """
    mistakes = Mistakes()
    for number, change in enumerate(changes):
        with mistakes.caught():
            _check_change(study, change, changes[:number])
    mistakes.refuse()


def _check_change(study: LoadedStudy, change: Change, earlier: Sequence[Change]) -> None:
    names = [name for name in study.file.experiments if change.concerns(name)]
    if not names:
        raise _unmatched(study, change)
    runnable = [name for name in names if not study.file.experiments[name].abstract]
    if not runnable:
        users = [name for name in study.runnable() if study.file.experiments[name].base in names]
        raise UserError(
            f"{change.where}: {names[0]} is abstract, a mere base of others, which an overlay does not change; name "
            f"those that are run{f', such as {users[0]}' if users else ''}"
        )
    arms = list(dict.fromkeys(arm for name in runnable for arm in study.arms_of(name)))
    for other in earlier:
        if any(map(other.concerns, runnable)):
            arms += [arm for arm in other.overlay.arms if arm not in arms]
    mistakes = Mistakes()
    for arm, entry in change.overlay.arms.items():
        with mistakes.caught():
            _check_arm(arm, arms, f"{change.where}.arms", is_noted=bool(entry.note))
    for arm in change.overlay.skip_arms:
        with mistakes.caught():
            if arm not in arms:
                raise unknown("arm", arm, arms, f"{change.where}.skip_arms")
    grids = [grid for name in runnable if (grid := study.file.experiments[name].grid)]
    for path, values in change.overlay.grid.items():
        with mistakes.caught():
            _check_kept(path, values, grids, f"{change.where}.grid")
    mistakes.refuse()


def _check_kept(path: str, values: Sequence[Any], grids: Sequence[Mapping[str, Sequence[Any]]], where: str) -> None:
    """Raise `UserError` unless the values are some of those of an axis of each grid."""
    if not grids:
        raise UserError(f"{where}: there is no grid in the study file of which it could keep a part; take it out")
    if not values:
        raise UserError(f"{where}.{path}: keeps no value; give some, or leave the experiment out by skip")
    for grid in grids:
        if path not in grid:
            raise unknown("key", path, grid, where)
        for value in values:
            if value not in grid[path]:
                raise unknown("value", str(value), [str(known) for known in grid[path]], f"{where}.{path}")


def _unmatched(study: LoadedStudy, change: Change) -> UserError:
    """The error for a change that concerns no experiment."""
    name, _, arm = change.pattern.partition("/")
    if arm and name in study.file.experiments:
        return UserError(
            f"{change.parent}: '{change.key}' names an arm; write {study.name}/{name}, and the arm below its key arms"
        )
    stem = split_of(name)[0]
    owner = next((n for n in study.runnable() if name in study.points_of(n)), stem if stem != name else "")
    if owner in study.file.experiments:
        return UserError(
            f"{change.parent}: '{change.key}' is one of several that {owner} stands for, by its grid or by official "
            f"splits, and a change is for all of them; write {study.name}/{owner}"
        )
    known = (f"{study.name}/{name}" for name in study.file.experiments)
    return unknown("experiment", f"{study.name}/{change.pattern}", known, change.parent)


def _check_arm(arm: str, known: Sequence[str], where: str, *, is_noted: bool) -> None:
    """Raise `UserError` for an arm that is neither known nor new. A new arm says so by its note, and is not almost
    called as a known one; names such as lr0.1x and lr0.2x, which differ in their numbers, are far apart."""
    if arm in known:
        return
    if not is_noted:
        raise UserError(f"{unknown('arm', arm, known, where)}; a new arm needs a note that says what it is for")
    check_folder_name(arm, where, "arms")
    for other in known:
        if other.casefold() == arm.casefold():
            raise UserError(
                f"{where}: {other} and {arm} are one folder on macOS and Windows; name the new arm otherwise"
            )
        if _digits(arm) == _digits(other) and difflib.SequenceMatcher(None, arm, other).ratio() >= ALIKE:
            raise UserError(
                f"{where}: a new arm '{arm}' would stand beside '{other}', which has almost the same name; name the "
                "arm that is meant, or call the new one something else"
            )


def _digits(name: str) -> str:
    return "".join(filter(str.isdigit, name))


# What changes do to one experiment


def is_kept(point: Point, changes: Sequence[Change]) -> bool:
    """True for a point of a grid that no overlay leaves out."""
    kept = [pair for change in changes for pair in change.overlay.grid.items()]
    return all(point.values[path] in values for path, values in kept if path in point.values)


def merged_arms(arms: Mapping[str, PlacedArm], changes: Sequence[Change]) -> dict[str, PlacedArm]:
    """The arms of the study file and those that overlays add, without those that an overlay leaves out."""
    overlays = [change.overlay for change in changes]
    left_out = {name for overlay in overlays for name in overlay.skip_arms}
    merged = dict(arms)
    for change in changes:
        for name, entry in change.overlay.arms.items():
            place = f"{change.where}.arms.{name}"
            if name in merged:
                merged[name] = _changed(merged[name], entry, place)
            elif entry.note:
                merged[name] = PlacedArm(ArmEntry(), fields_of(entry), place)
    return {
        name: replace(arm, fields={**arm.fields, "seeds": _changed_seeds(name, overlays) or arm.fields["seeds"]})
        for name, arm in merged.items()
        if name not in left_out
    }


def _changed(arm: PlacedArm, entry: ArmEntry, place: str) -> PlacedArm:
    """The arm with those fields of an overlay that it sets."""
    own = {name: value for name, value in fields_of(entry).items() if name in entry.model_fields_set}
    return replace(arm, fields={**arm.fields, **own}, places={**arm.places, **dict.fromkeys(own, place)})


def _changed_seeds(arm: str, overlays: Sequence[Overlay]) -> tuple[int, ...] | None:
    """The seeds of the last overlay that sets some, for this arm or else for all."""
    for overlay in reversed(overlays):
        seeds = overlay.arms.get(arm, ArmEntry()).seeds or overlay.seeds
        if seeds is not None:
            return seeds
    return None


def layers_above(name: str, arm_name: str, arm: PlacedArm, changes: Sequence[Change]) -> list[Layer]:
    """The layers above those of the entry: overlays of the experiment, its arm, overlays of the arm."""
    return [
        *(Layer.of(c.where, c.overlay, is_general=c.pattern != name) for c in changes),
        Layer.of(arm.place, arm.entry),
        *(
            Layer.of(f"{c.where}.arms.{arm_name}", c.overlay.arms[arm_name])
            for c in changes
            if arm_name in c.overlay.arms
        ),
    ]
