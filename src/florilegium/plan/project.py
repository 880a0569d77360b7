"""A project read from its files: settings, preset, data sets and studies, checked together and made into a plan."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from florilegium.config.base import parse, read_yaml
from florilegium.config.data import Dataset, DetectionData, check_overrides, split_names
from florilegium.config.experiment import Experiment
from florilegium.config.figures import PlotChoice, choose
from florilegium.config.study import Preset, Settings, StudyFile, check_trackers
from florilegium.core.errors import UserError, unknown
from florilegium.core.receipts import REFERENCE
from florilegium.plan.departures import Paper, figure_titled, titled
from florilegium.plan.entries import LoadedStudy
from florilegium.plan.overlays import Change
from florilegium.plan.plan import Plan
from florilegium.plan.references import check_tests
from florilegium.plan.resolve import resolve

CONFIG = "config.yaml"
DATASETS = "workflow/datasets.yaml"
PRESETS = "workflow/presets"
PAPER = "paper"  # the preset with everything as published


def load_plan(project: Path, config: Mapping[str, Any]) -> Plan:
    """Read and check everything below `project`.

    Args:
        project: the folder of the Snakefile.
        config: the content of `config.yaml`, with changes from the command line.

    Raises:
        UserError: for anything misspelt, of a wrong type, missing or impossible.
    """
    settings = _settings(config)
    preset = _preset(project, settings.preset)
    datasets = _datasets(project, settings)
    studies = _studies(project, settings)
    stand_ins = preset.datasets | settings.stand_ins
    seeds = preset.seeds if settings.seeds is None else settings.seeds
    splits = _splits(datasets, settings)

    experiments: list[Experiment] = []
    for study in studies:
        changes = [*_preset_changes(study.name, preset, settings.preset), *_own_changes(study.name, settings)]
        experiments += resolve(study, changes, seeds, stand_ins, splits)
    _check_data(experiments, datasets)
    for study in studies:
        check_tests(study.own(experiments), study.where)

    paper = _paper(project, settings, datasets, stand_ins, studies)
    experiments = [titled(e, paper) for e in experiments]
    return Plan(
        settings,
        preset,
        datasets,
        {study.name: study.file for study in studies},
        tuple(experiments),
        {study.name: _figures(study, study.own(experiments), paper) for study in studies},
        paper,
    )


def _settings(config: Mapping[str, Any]) -> Settings:
    settings = parse(Settings, config, CONFIG)
    if settings.preset == REFERENCE:
        raise UserError(
            f"{CONFIG}: preset: results/{REFERENCE} holds what is committed, so no preset is called {REFERENCE}; "
            "give yours another name"
        )
    check_trackers(settings.trackers)
    return settings


def _preset(project: Path, name: str) -> Preset:
    path = project / PRESETS / f"{name}.yaml"
    if not path.is_file():
        raise unknown("preset", name, (p.stem for p in path.parent.glob("*.yaml")), CONFIG)
    return parse(Preset, read_yaml(path), f"{PRESETS}/{path.name}")


def _datasets(project: Path, settings: Settings) -> dict[str, Dataset]:
    entries = read_yaml(project / DATASETS)
    datasets = {name: parse(Dataset, entry, f"{DATASETS}: {name}") for name, entry in entries.items()}
    check_overrides(settings.datasets, {name: dataset.files for name, dataset in datasets.items()}, "datasets")
    if taken := sorted(datasets.keys() & settings.own_datasets.keys()):
        raise UserError(f"{CONFIG}: own_datasets.{taken[0]}: the name is taken; choose another")
    datasets |= settings.own_datasets
    for name in (*settings.stand_ins, *settings.stand_ins.values()):
        if name not in datasets:
            raise unknown("data set", name, datasets, f"{CONFIG}: stand_ins")
    return datasets


def _studies(project: Path, settings: Settings) -> list[LoadedStudy]:
    paths = sorted((project / "workflow" / "studies").glob("*.yaml"))
    by_name = {path.stem: path for path in (*paths, *(project / own for own in settings.own_studies))}
    for name in settings.studies:
        if name not in by_name:
            raise unknown("study", name, by_name, f"{CONFIG}: studies")
    studies = []
    for name, path in by_name.items():
        if name in (settings.studies or by_name):
            where = path.relative_to(project).as_posix() if path.is_relative_to(project) else str(path)
            studies.append(LoadedStudy(name, where, parse(StudyFile, read_yaml(path), where)))
    return studies


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
        owner, slash, pattern = key.partition("/")
        if not slash:
            raise UserError(f"{CONFIG}: experiments: '{key}' must be written study/experiment, such as flowers/{key}")
        if owner == study:
            changes.append(Change(pattern, f"{CONFIG}: experiments", key, overlay))
    return changes


def _paper(
    project: Path,
    settings: Settings,
    datasets: Mapping[str, Dataset],
    stand_ins: Mapping[str, str],
    studies: Iterable[LoadedStudy],
) -> Paper:
    """The same studies in preset `paper`, without changes of `config.yaml`.

    A study that the preset does not mention, such as one's own, is compared with its own file. A study file that
    cannot be resolved without changes is compared with nothing.
    """
    preset = _preset(project, PAPER) if (project / PRESETS / f"{PAPER}.yaml").is_file() else None
    experiments: dict[str, Experiment] = {}
    left_out: set[str] = set()
    for study in studies:
        changes = _preset_changes(study.name, preset, PAPER) if preset else []
        overlays = [change.overlay.model_copy(update={"skip": False, "skip_arms": ()}) for change in changes]
        complete = [replace(change, overlay=overlay) for change, overlay in zip(changes, overlays, strict=True)]
        try:
            resolved = resolve(study, complete, settings.seeds or (0,), stand_ins={}, splits={})
        except UserError:
            continue
        experiments |= {e.key: e for e in resolved}
        for change in changes:
            skipped = change.overlay
            concerned = [e for e in resolved if change.concerns(e.entry)]
            left_out |= {e.key for e in concerned if skipped.skip or e.arm in skipped.skip_arms}
    originals = {(study.name, name): words for study in studies for name, words in study.file.stands_in_for.items()}
    return Paper(experiments, frozenset(left_out), datasets, stand_ins, originals)


def _figures(study: LoadedStudy, experiments: list[Experiment], paper: Paper) -> list[PlotChoice]:
    chosen = choose(study.file.figures, experiments, study.arms(), study.where)
    return [figure_titled(figure, experiments, paper) for figure in chosen]


def _check_data(experiments: Iterable[Experiment], datasets: Mapping[str, Dataset]) -> None:
    """Raise `UserError` for an unknown data set, one of another task, or a test image that it does not have."""
    names = split_names(datasets)
    for e in experiments:
        for name in (e.data.dataset, *e.data.clean):
            if name not in names:
                raise unknown("data set", name, datasets, f"{e.key}: data")
        dataset = datasets[names[e.data.dataset][0]]
        if dataset.has_boxes != isinstance(e.data, DetectionData):
            contents = "boxes in its images, and is for detection" if dataset.has_boxes else "no boxes to detect"
            raise UserError(
                f"{e.key}: data.dataset = {e.data.dataset!r}: a data set of layout {dataset.layout} has {contents}; "
                "name another"
            )
        if e.attribution and dataset.images and getattr(e.data, "holdout", None) is None:
            tested = sum(dataset.images.get(split, 0) for split in e.data.test)
            for number in e.attribution.names:
                if isinstance(number, int) and number >= tested:
                    raise UserError(
                        f"{e.key}: attribution.names asks for image {number}, and {e.data.dataset} has {tested} test "
                        f"images; they count from 0, so name one up to {tested - 1}"
                    )
