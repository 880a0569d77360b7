"""A project read from its files: settings, preset, data sets and studies, checked together and made into a plan."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from florilegium.config.base import parse_rest, read_yaml
from florilegium.config.claims import Claim
from florilegium.config.datasets import Dataset, split_names
from florilegium.config.experiment import Experiment
from florilegium.config.figures import PlotChoice, choose
from florilegium.config.layers import CONFIG, Configuration, layered
from florilegium.config.study import Preset, Settings, check_trackers
from florilegium.core.errors import Mistakes, UserError, nearest, unknown
from florilegium.core.receipts import REFERENCE
from florilegium.plan.claims import check_claims, choose_claims
from florilegium.plan.data_sets import DataSets
from florilegium.plan.departures import Paper, figure_titled, titled
from florilegium.plan.entries import LoadedStudy
from florilegium.plan.overlays import Change
from florilegium.plan.plan import Plan
from florilegium.plan.project_files import (
    DATASETS,
    PRESETS,
    WEIGHTS,
    built_in_studies,
    chosen_studies,
    read_datasets,
    read_preset,
    read_studies,
    study_paths,
)
from florilegium.plan.references import check_tests
from florilegium.plan.remarks import check_processes, idle_keys, idle_studies, remarks
from florilegium.plan.resolve import resolve

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
    config = layered(config)
    settings, gone = _settings(config, mistakes)
    if settings is None:
        return None
    preset = None
    if ("preset",) not in gone:
        with mistakes.caught():
            preset = read_preset(project, settings.preset, config)
    default = Settings().preset
    if preset is None and (project / PRESETS / f"{default}.yaml").is_file():  # so that the rest is checked, too
        settings = settings.model_copy(update={"preset": default})
        with mistakes.caught():
            preset = read_preset(project, default, config)
    unread = {path[1] for path in gone if path[0] == "own_datasets" and len(path) > 1}
    datasets = read_datasets(project, settings, config, unread, mistakes)
    studies = read_studies(project, settings, config, mistakes)
    if preset is None or datasets is None:
        return None
    data = DataSets(datasets, unread)
    with mistakes.caught():
        data.check_names(partial(_data_set, settings, config))
    with mistakes.caught():
        replaced = replace(data, stand_ins=_known_stand_ins(data, preset, settings, config, mistakes))
        replaced.check_stand_ins(partial(_stand_in, settings, config))
        data = replaced
    seeds = preset.seeds if settings.seeds is None else settings.seeds
    splits = _splits(datasets, settings)

    experiments: list[Experiment] = []
    right: list[LoadedStudy] = []
    present = study_paths(project, settings)
    _check_owners(settings, preset, present, config, mistakes)
    chosen = chosen_studies(project, settings)
    for study in studies:
        with mistakes.caught():
            changes = [*_preset_changes(study.name, preset, settings.preset), *_own_changes(study.name, settings)]
            resolved = resolve(study, changes, seeds, data, splits)
            check_tests(study.own(resolved), study.where)
            for name in study.file.stands_in_for.keys() - datasets.keys() - unread:
                raise unknown("data set", name, datasets, f"{study.where}: stands_in_for")
            if study.name in chosen:
                experiments += resolved
                right.append(study)
    mistakes.found = [attributed(sentence, config) for sentence in mistakes.found]
    with mistakes.caught():
        check_processes(experiments, settings, config)
    experiments = [e for e in experiments if {e.data.dataset, *e.data.clean} <= split_names(datasets).keys()]

    as_published = None
    if (project / PRESETS / f"{PAPER}.yaml").is_file():
        with mistakes.caught():
            as_published = read_preset(project, PAPER, config)
    paper = replace(_paper(as_published, settings, data, right), weights=_weight_titles(project, settings))
    plain, experiments = experiments, []
    for e in plain:
        with mistakes.caught():
            experiments.append(titled(e, paper))
    figures: dict[str, list[PlotChoice]] = {}
    claims: dict[str, list[Claim]] = {}
    for study in right:
        own = study.own(experiments)
        with mistakes.caught():
            figures[study.name] = _figures(study, own, paper)
        with mistakes.caught():
            claims[study.name] = choose_claims(study.file.claims, own, study.arms(), study.where)
            check_claims(claims[study.name], own, study.where)
    files = {study.name: study.file for study in right}
    where = {study.name: study.where for study in right}
    said = (
        *remarks(settings, config, {path.stem for path in built_in_studies(project)}),
        *idle_studies(settings.preset, preset.studies.keys() - present.keys()),
        *(attributed(sentence, config) for sentence in idle_keys(experiments)),
    )
    return Plan(settings, preset, datasets, files, tuple(experiments), figures, claims, paper, said, where)


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


def _check_owners(
    settings: Settings, preset: Preset, by_name: Mapping[str, Path], config: Configuration, mistakes: Mistakes
) -> None:
    """Refuse changes to experiments of a study that there is not."""
    for key in settings.experiments:
        owner = key.partition("/")[0]
        with mistakes.caught():
            if owner not in by_name:
                raise unknown("study", owner, by_name, f"{config.where(['experiments', key])}: experiments")
    for name in preset.studies:
        with mistakes.caught():
            if name not in by_name and nearest(name, by_name):  # else its file was taken out: see `remarks`
                raise unknown("study", name, by_name, f"{PRESETS}/{settings.preset}.yaml: studies")


def _known_stand_ins(
    data: DataSets, preset: Preset, settings: Settings, config: Configuration, mistakes: Mistakes
) -> dict[str, str]:
    """What stands in for data sets, without names that no data set has."""
    known = {}
    for name, stand_in in (preset.datasets | settings.stand_ins).items():
        with mistakes.caught():
            for each in (name, stand_in):
                if each not in data.by_name and each not in data.unread:
                    raise unknown("data set", each, data.by_name, _stand_in(settings, config, name).rpartition(".")[0])
            known[name] = stand_in
    return known


def attributed(sentence: str, config: Configuration) -> str:
    """A sentence on a change to experiments, with the layer that sets the key in place of `config.yaml`."""
    for key in config.get("experiments") or ():
        start = f"{CONFIG}: experiments.{key}"
        if sentence.startswith(f"{CONFIG}: experiments: ") and f"'{key}'" in sentence:
            return config.where(["experiments", key]) + sentence.removeprefix(CONFIG)
        if sentence.startswith((f"{start}.", f"{start}:")):
            keys = re.match(r"(?:\.\w+)*", sentence.removeprefix(start))
            below = keys[0].split(".")[1:] if keys else []
            return config.where(["experiments", key, *below]) + sentence.removeprefix(CONFIG)
    return sentence


def _data_set(settings: Settings, config: Configuration, name: str) -> str:
    """Where a data set is written."""
    if name in settings.own_datasets:
        return f"{config.where(['own_datasets', name])}: own_datasets.{name}"
    return f"{DATASETS}: {name}"


def _stand_in(settings: Settings, config: Configuration, name: str) -> str:
    """Where it is said what stands in for a data set."""
    if name in settings.stand_ins:
        return f"{config.where(['stand_ins', name])}: stand_ins.{name}"
    return f"{PRESETS}/{settings.preset}.yaml: datasets.{name}"


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


def _paper(preset: Preset | None, settings: Settings, data: DataSets, studies: Iterable[LoadedStudy]) -> Paper:
    """The same studies in preset `paper`, without changes of `config.yaml`.

    A study that the preset does not mention, such as one's own, is compared with its own file. A study file that
    cannot be resolved without changes is compared with nothing.
    """
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


def _weight_titles(project: Path, settings: Settings) -> dict[str, str]:
    """What reports call pretrained weights; mistakes in their file are told elsewhere."""
    entries: Mapping[str, Any] = {}
    with suppress(UserError):
        entries = read_yaml(project / WEIGHTS, WEIGHTS)
    titles = {name: str(entry.get("title", "")) for name, entry in entries.items() if isinstance(entry, Mapping)}
    own = {name: override.title for name, override in settings.weights.items() if override.title}
    return {name: title for name, title in {**titles, **own}.items() if title}


def _figures(study: LoadedStudy, experiments: list[Experiment], paper: Paper) -> list[PlotChoice]:
    chosen = choose(study.file.figures, experiments, study.arms(), study.where)
    try:
        return [figure_titled(figure, experiments, paper) for figure in chosen]
    except UserError as error:
        raise UserError(f"{study.where}: {error}") from None
