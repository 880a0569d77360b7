"""A project read from its files: settings, preset, data sets and studies, checked together and made into a plan."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from florilegium.config.base import parse, parse_rest, read_yaml
from florilegium.config.data import Dataset, check_overrides, split_names
from florilegium.config.experiment import Experiment
from florilegium.config.figures import PlotChoice, choose
from florilegium.config.layers import CONFIG, Configuration, of
from florilegium.config.study import Preset, Settings, StudyFile, check_trackers
from florilegium.core.errors import Mistakes, UserError, unknown
from florilegium.core.receipts import REFERENCE
from florilegium.plan.data_sets import DataSets
from florilegium.plan.departures import Paper, figure_titled, titled
from florilegium.plan.entries import LoadedStudy
from florilegium.plan.names import check_study_name, is_name
from florilegium.plan.overlays import Change
from florilegium.plan.plan import Plan
from florilegium.plan.references import check_tests
from florilegium.plan.remarks import remarks
from florilegium.plan.resolve import resolve

DATASETS = "workflow/datasets.yaml"
PRESETS = "workflow/presets"
STUDIES = "workflow/studies"
PAPER = "paper"  # the preset with everything as published
# The keys of `config.yaml` that hold entries: a mistake in one of these does not hide those of the others.
ENTRIES = dict.fromkeys(("experiments", "own_datasets", "datasets", "weights"), 2)


def load_plan(project: Path, config: Mapping[str, Any]) -> Plan:
    """Read and check everything below `project`.

    Args:
        project: the folder of the Snakefile.
        config: the configuration with its layers; plain values count as those of `config.yaml`.

    Raises:
        UserError, UserErrors: everything misspelt, of a wrong type, missing or impossible.
    """
    mistakes = Mistakes()
    plan = read_plan(project, config, mistakes)
    mistakes.refuse()
    assert plan is not None, "a plan that cannot be made has mistakes"
    return plan


def read_plan(project: Path, config: Mapping[str, Any], mistakes: Mistakes) -> Plan | None:
    """The plan of what is right, for further checks; None without a preset. All that is wrong goes to `mistakes`.

    A mistake hides others only where these depend on it: of a study, or a data set, that is wrong no more is said.
    """
    config = of(config)
    settings, gone = _settings(config, mistakes)
    if settings is None:
        return None
    preset = None
    if ("preset",) not in gone:
        with mistakes.caught():
            preset = _preset(project, settings.preset, config)
    unread = {path[1] for path in gone if path[0] == "own_datasets" and len(path) > 1}
    datasets = _datasets(project, settings, config, unread, mistakes)
    studies = _studies(project, settings, config, mistakes)
    if preset is None:
        return None
    data = DataSets(datasets, unread)
    with mistakes.caught():
        replaced = replace(data, stand_ins=preset.datasets | settings.stand_ins)
        replaced.check_stand_ins(partial(_stand_in, settings, config))
        data = replaced
    seeds = preset.seeds if settings.seeds is None else settings.seeds
    splits = _splits(datasets, settings)

    experiments: list[Experiment] = []
    right: list[LoadedStudy] = []
    _check_owners(settings, project, config, mistakes)
    for study in studies:
        with mistakes.caught():
            changes = [*_preset_changes(study.name, preset, settings.preset), *_own_changes(study.name, settings)]
            resolved = resolve(study, changes, seeds, data, splits)
            check_tests(study.own(resolved), study.where)
            experiments += resolved
            right.append(study)
    mistakes.found = [_attributed(sentence, config) for sentence in mistakes.found]
    experiments = [e for e in experiments if {e.data.dataset, *e.data.clean} <= split_names(datasets).keys()]

    paper = _paper(project, settings, data, right)
    experiments = [titled(e, paper) for e in experiments]
    figures: dict[str, list[PlotChoice]] = {}
    for study in right:
        with mistakes.caught():
            figures[study.name] = _figures(study, study.own(experiments), paper)
    files = {study.name: study.file for study in right}
    where = {study.name: study.where for study in right}
    said = tuple(remarks(settings, config, {path.stem for path in built_in_studies(project)}))
    return Plan(settings, preset, datasets, files, tuple(experiments), figures, paper, said, where)


# Settings


def _settings(config: Configuration, mistakes: Mistakes) -> tuple[Settings | None, list[tuple[Any, ...]]]:
    """The settings without what is wrong in them, and the keys of that."""
    settings, gone = parse_rest(Settings, config, config.where, mistakes, ENTRIES)
    if settings is None:
        return None, gone
    if settings.preset == REFERENCE:
        gone.append(("preset",))
        with mistakes.caught():
            raise UserError(
                f"{config.where(['preset'])}: preset: results/{REFERENCE} holds what is committed, so no preset is "
                f"called {REFERENCE}; give yours another name"
            )
    with mistakes.caught():
        check_trackers(settings.trackers, config.where(["trackers"]))
    return settings, gone


def _check_owners(settings: Settings, project: Path, config: Configuration, mistakes: Mistakes) -> None:
    """Refuse changes to experiments of a study that there is not."""
    by_name = study_paths(project, settings)
    for key in settings.experiments:
        owner, slash, _ = key.partition("/")
        with mistakes.caught():
            where = f"{config.where(['experiments', key])}: experiments"
            if not slash:
                raise UserError(f"{where}: '{key}' must be written study/experiment, such as flowers/{key}")
            if owner not in by_name:
                raise unknown("study", owner, by_name, where)


def _attributed(sentence: str, config: Configuration) -> str:
    """A sentence on a change to experiments, with the layer that sets the key in place of `config.yaml`."""
    for key in config.get("experiments") or ():
        start = f"{CONFIG}: experiments.{key}"
        if sentence.startswith((f"{start}.", f"{start}:")):
            keys = re.match(r"(?:\.\w+)*", sentence.removeprefix(start))
            below = keys[0].split(".")[1:] if keys else []
            return config.where(["experiments", key, *below]) + sentence.removeprefix(CONFIG)
    return sentence


# Files


def _file(project: Path, path: Path, must_hold: str) -> tuple[dict[str, Any], str]:
    """The content of a file that may not be empty, and its name in messages."""
    where = path.relative_to(project).as_posix() if path.is_relative_to(project) else str(path)
    content = read_yaml(path, where)
    if not content:
        raise UserError(f"{where}: is empty; it must hold {must_hold}")
    return content, where


def _preset(project: Path, name: str, config: Configuration) -> Preset:
    path = project / PRESETS / f"{name}.yaml"
    if not path.exists():
        raise unknown("preset", name, (p.stem for p in path.parent.glob("*.yaml")), config.where(["preset"]))
    return parse(Preset, *_file(project, path, "at least title and seeds"))


def _datasets(
    project: Path, settings: Settings, config: Configuration, unread: set[str], mistakes: Mistakes
) -> dict[str, Dataset]:
    """The data sets that are right, by name; the names of the others are added to `unread`."""
    entries: Mapping[str, Any] = {}
    with mistakes.caught():
        entries, _ = _file(project, project / DATASETS, "a data set by its name")
    datasets: dict[str, Dataset] = {}
    for name, entry in entries.items():
        with mistakes.caught():
            datasets[name] = parse(Dataset, entry, f"{DATASETS}: {name}")
    unread |= entries.keys() - datasets.keys()
    published = {name: dataset.files for name, dataset in datasets.items()}
    for name in settings.datasets:
        with mistakes.caught():
            if name not in unread:
                check_overrides(
                    {name: settings.datasets[name]}, published, "datasets", config.where(["datasets", name])
                )
    for name in sorted(datasets.keys() & settings.own_datasets.keys()):
        with mistakes.caught():
            where = config.where(["own_datasets", name])
            raise UserError(f"{where}: own_datasets.{name}: {DATASETS} has a data set of that name; choose another")
    datasets |= settings.own_datasets
    for name, stand_in in settings.stand_ins.items():
        for each in (name, stand_in):
            with mistakes.caught():
                if each not in datasets and each not in unread:
                    raise unknown("data set", each, datasets, f"{config.where(['stand_ins', name])}: stand_ins")
    return datasets


def _stand_in(settings: Settings, config: Configuration, name: str) -> str:
    """Where it is said what stands in for a data set."""
    if name in settings.stand_ins:
        return f"{config.where(['stand_ins', name])}: stand_ins.{name}"
    return f"{PRESETS}/{settings.preset}.yaml: datasets.{name}"


def study_paths(project: Path, settings: Settings) -> dict[str, Path]:
    """The file of every study by its name; one of a person's own goes before one of the project."""
    return {path.stem: path for path in (*built_in_studies(project), *(project / own for own in settings.own_studies))}


def built_in_studies(project: Path) -> list[Path]:
    return sorted((project / STUDIES).glob("*.yaml"))


def _studies(project: Path, settings: Settings, config: Configuration, mistakes: Mistakes) -> list[LoadedStudy]:
    """The studies that are chosen and right."""
    _check_study_names(project, settings, config, mistakes)
    by_name = study_paths(project, settings)
    for name in settings.studies:
        with mistakes.caught():
            if name not in by_name:
                raise unknown("study", name, by_name, f"{config.where(['studies'])}: studies")
    studies = []
    for name, path in by_name.items():
        with mistakes.caught():
            if name in (settings.studies or by_name) and is_name(name):
                content, where = _file(project, path, "title, document and experiments")
                studies.append(LoadedStudy(name, where, parse(StudyFile, content, where)))
    return studies


def _check_study_names(project: Path, settings: Settings, config: Configuration, mistakes: Mistakes) -> None:
    """Refuse own studies that are called as each other, or as what the workflow makes."""
    where = f"{config.where(['own_studies'])}: own_studies"
    names = [Path(own).stem for own in settings.own_studies]
    for own, name in zip(settings.own_studies, names, strict=True):
        with mistakes.caught():
            check_study_name(name, own, where, [*names, *(path.stem for path in built_in_studies(project))])
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        with mistakes.caught():
            paths = [own for own in settings.own_studies if Path(own).stem == name]
            way_out = "take one out" if len(set(paths)) == 1 else "rename one"
            raise UserError(f"{where}: {' and '.join(paths)} are both the study {name}; {way_out}")


def _splits(datasets: Mapping[str, Dataset], settings: Settings) -> dict[str, int]:
    """The number of official splits in use by data set, where there are several: all, unless `config.yaml` says that
    the file that holds them is absent."""
    counts = {}
    for name, dataset in datasets.items():
        override = settings.datasets.get(name)
        optional = {file.file for file in dataset.files if file.optional}
        is_absent = override is not None and any(override.files.get(file) == "absent" for file in optional)
        if dataset.official_splits > 1 and not is_absent:
            counts[name] = dataset.official_splits
    return counts


def _preset_changes(study: str, preset: Preset, name: str) -> list[Change]:
    """The changes of a preset to a study, in rising precedence: of all experiments, then by name or glob."""
    if study not in preset.studies:
        return []
    overlays, parent = preset.studies[study], f"{PRESETS}/{name}.yaml: studies.{study}"
    return [
        Change("*", parent, "all", overlays.all),
        *(Change(glob, f"{parent}.experiments", glob, overlay) for glob, overlay in overlays.experiments.items()),
    ]


def _own_changes(study: str, settings: Settings) -> list[Change]:
    """The changes of `config.yaml` to a study."""
    changes = []
    for key, overlay in settings.experiments.items():
        owner, _, pattern = key.partition("/")
        if owner == study:
            changes.append(Change(pattern, f"{CONFIG}: experiments", key, overlay))
    return changes


def _paper(project: Path, settings: Settings, data: DataSets, studies: Iterable[LoadedStudy]) -> Paper:
    """The same studies in preset `paper`, without changes of `config.yaml`.

    A study that the preset does not mention, such as one's own, is compared with its own file. A study file that
    cannot be resolved without changes is compared with nothing.
    """
    preset = None
    if (project / PRESETS / f"{PAPER}.yaml").is_file():
        preset = _preset(project, PAPER, of({}))
    experiments: dict[str, Experiment] = {}
    left_out: set[str] = set()
    for study in studies:
        changes = _preset_changes(study.name, preset, PAPER) if preset else []
        overlays = [change.overlay.model_copy(update={"skip": False, "skip_arms": ()}) for change in changes]
        complete = [replace(change, overlay=overlay) for change, overlay in zip(changes, overlays, strict=True)]
        try:
            resolved = resolve(study, complete, settings.seeds or (0,), replace(data, stand_ins={}), splits={})
        except UserError:
            continue
        experiments |= {e.key: e for e in resolved}
        for change in changes:
            skipped = change.overlay
            concerned = [e for e in resolved if change.concerns(e.entry)]
            left_out |= {e.key for e in concerned if skipped.skip or e.arm in skipped.skip_arms}
    originals = {(study.name, name): words for study in studies for name, words in study.file.stands_in_for.items()}
    return Paper(experiments, frozenset(left_out), data.by_name, data.stand_ins, originals)


def _figures(study: LoadedStudy, experiments: list[Experiment], paper: Paper) -> list[PlotChoice]:
    chosen = choose(study.file.figures, experiments, study.arms(), study.where)
    return [figure_titled(figure, experiments, paper) for figure in chosen]
