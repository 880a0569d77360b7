"""A project read from its files: settings, preset, data sets and studies, checked together into a plan."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from florilegium.config.base import parse, read_yaml
from florilegium.config.data import Dataset, DetectionData, check_overrides, split_names
from florilegium.config.experiment import Experiment
from florilegium.config.figures import PlotChoice, choose
from florilegium.config.metrics import check_metrics
from florilegium.config.study import Preset, Settings, StudyFile, check_trackers
from florilegium.core.errors import UserError, unknown
from florilegium.core.receipts import REFERENCE
from florilegium.plan.departures import Paper, figure_titled, titled
from florilegium.plan.plan import Plan
from florilegium.plan.references import check_tests
from florilegium.plan.resolve import Change, every_arm, resolve

CONFIG = "config.yaml"
PRESETS = "workflow/presets"
PAPER = "paper"  # the preset that is as published


def load_plan(project: Path, config: Mapping[str, Any]) -> Plan:
    """Read and check everything below `project`.

    Args:
        project: the folder of the Snakefile.
        config: the content of `config.yaml`, with what the command line changed.

    Raises:
        UserError: for anything misspelt, of a wrong type, missing or impossible.
    """
    settings = _settings(config)
    preset = _preset(project, settings.preset)
    datasets = _datasets(project, settings)
    studies = _studies(project, settings)

    experiments = _resolved(settings, preset, datasets, studies)
    _check_data(experiments, datasets)
    for study in studies.values():
        check_tests(study.own(experiments), study.where)

    paper = _paper(project, settings, preset, datasets, studies)
    experiments = [titled(e, paper) for e in experiments]
    for e in experiments:
        check_metrics((p.metric for p in e.published), e.task, f"{e.key}: published", paired=True)
    return Plan(
        settings,
        preset,
        datasets,
        {name: study.file for name, study in studies.items()},
        tuple(experiments),
        {name: _figures(study, experiments, paper) for name, study in studies.items()},
        paper,
    )


@dataclass(frozen=True)
class LoadedStudy:
    """A study file: its name, its path for error sentences, its content."""

    name: str
    where: str
    file: StudyFile

    def own(self, experiments: Iterable[Experiment]) -> list[Experiment]:
        """Those of the experiments that are the study's."""
        return [e for e in experiments if e.study == self.name]


def _shown(path: Path, project: Path) -> str:
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else str(path)


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
    where = "workflow/datasets.yaml"
    known = {name: parse(Dataset, entry, f"{where}: {name}") for name, entry in read_yaml(project / where).items()}
    check_overrides(settings.datasets, {name: dataset.files for name, dataset in known.items()}, "datasets")
    taken = set(known) & set(settings.own_datasets)
    if taken:
        raise UserError(f"{CONFIG}: own_datasets.{sorted(taken)[0]}: the name is taken; choose another")
    every = {**known, **settings.own_datasets}
    for name in (*settings.stand_ins, *settings.stand_ins.values()):
        if name not in every:
            raise unknown("data set", name, every, f"{CONFIG}: stand_ins")
    return every


def _studies(project: Path, settings: Settings) -> dict[str, LoadedStudy]:
    paths = sorted((project / "workflow" / "studies").glob("*.yaml"))
    paths += [project / own for own in settings.own_studies]
    known = {path.stem: path for path in paths}
    for name in settings.studies:
        if name not in known:
            raise unknown("study", name, known, f"{CONFIG}: studies")
    studies = {}
    for name, path in known.items():
        if name in (settings.studies or known):
            where = _shown(path, project)
            studies[name] = LoadedStudy(name, where, parse(StudyFile, read_yaml(path), where))
    return studies


def _resolved(
    settings: Settings, preset: Preset, datasets: Mapping[str, Dataset], studies: Mapping[str, LoadedStudy]
) -> list[Experiment]:
    return [
        experiment
        for study in studies.values()
        for experiment in resolve(
            study.name,
            study.file,
            where=study.where,
            changes=[*_preset_changes(study.name, preset, settings.preset), *_own_changes(study.name, settings)],
            seeds=preset.seeds if settings.seeds is None else settings.seeds,
            stand_ins=preset.datasets | settings.stand_ins,
            splits=_splits(datasets, settings),
        )
    ]


def _preset_changes(study: str, preset: Preset, name: str) -> list[Change]:
    """What a preset changes of a study, in rising precedence: of all experiments, then by name or glob."""
    if study not in preset.studies:
        return []
    overlay, where = preset.studies[study], f"{PRESETS}/{name}.yaml"
    return [
        Change("*", where, overlay.all),
        *(Change(pattern, where, change) for pattern, change in overlay.experiments.items()),
    ]


def _own_changes(study: str, settings: Settings) -> list[Change]:
    """What `config.yaml` changes of a study."""
    changes = []
    for key, overlay in settings.experiments.items():
        owner, slash, pattern = key.partition("/")
        if not slash:
            raise UserError(f"{CONFIG}: experiments: '{key}' must be written study/experiment, such as flowers/{key}")
        if owner == study:
            changes.append(Change(pattern, CONFIG, overlay))
    return changes


def _paper(
    project: Path,
    settings: Settings,
    preset: Preset,
    datasets: Mapping[str, Dataset],
    studies: Mapping[str, LoadedStudy],
) -> Paper:
    """The same studies in preset `paper`, without a change of the person's: what verdicts and names go by.

    A study that preset does not speak of, one of the person's own, is laid beside its own file. A file that cannot
    be run without changes has nothing to be laid beside.
    """
    published = _preset(project, PAPER) if (project / PRESETS / f"{PAPER}.yaml").is_file() else None
    experiments: dict[str, Experiment] = {}
    left_out: set[str] = set()
    for study in studies.values():
        changes = _preset_changes(study.name, published, PAPER) if published else []
        try:
            every = resolve(
                study.name,
                study.file,
                where=study.where,
                changes=[_without_omissions(change) for change in changes],
                seeds=settings.seeds or (0,),
                stand_ins={},
                splits={},
            )
        except UserError:
            continue
        experiments |= {e.key: e for e in every}
        left_out |= {e.key for e in every if any(_leaves_out(change, e) for change in changes)}
    originals = {
        (study.name, name): words for study in studies.values() for name, words in study.file.stands_in_for.items()
    }
    stand_ins = preset.datasets | settings.stand_ins
    return Paper(experiments, frozenset(left_out), datasets, stand_ins, originals)


def _without_omissions(change: Change) -> Change:
    return replace(change, overlay=change.overlay.model_copy(update={"skip": False, "skip_arms": ()}))


def _leaves_out(change: Change, e: Experiment) -> bool:
    return change.concerns(e.entry) and (change.overlay.skip or e.arm in change.overlay.skip_arms)


def _figures(study: LoadedStudy, experiments: Iterable[Experiment], paper: Paper) -> list[PlotChoice]:
    own = study.own(experiments)
    chosen = choose(study.file.figures, own, every_arm(study.file, study.where), study.where)
    return [figure_titled(figure, own, paper) for figure in chosen]


def _splits(datasets: Mapping[str, Dataset], settings: Settings) -> dict[str, int]:
    """Data sets of which several official splits are in use, and how many: all, unless the file that holds the
    splits is said to be absent."""
    counts = {}
    for name, dataset in datasets.items():
        override = settings.datasets.get(name)
        optional = {file.file for file in dataset.files if file.optional}
        absent = override is not None and any(override.files.get(file) == "absent" for file in optional)
        if dataset.official_splits > 1 and not absent:
            counts[name] = dataset.official_splits
    return counts


def _check_data(experiments: Iterable[Experiment], datasets: Mapping[str, Dataset]) -> None:
    """Raise `UserError` for an unknown data set, one of another task, or a test image that it does not have."""
    names = split_names(datasets)
    for e in experiments:
        for name in (e.data.dataset, *e.data.clean):
            if name not in names:
                raise unknown("data set", name, datasets, f"{e.key}: data")
        dataset = datasets[names[e.data.dataset][0]]
        if dataset.has_boxes != isinstance(e.data, DetectionData):
            what = "boxes in its images, and is for detection" if dataset.has_boxes else "no boxes to detect"
            raise UserError(
                f"{e.key}: data.dataset = {e.data.dataset!r}: a data set of layout {dataset.layout} has {what}; "
                "name another"
            )
        _check_named(e, dataset)


def _check_named(e: Experiment, dataset: Dataset) -> None:
    """Raise `UserError` for a test image by a number that not even the whole published data set has."""
    if not (e.attribution and dataset.images and getattr(e.data, "holdout", None) is None):
        return
    tested = sum(dataset.images.get(split, 0) for split in e.data.test)
    for name in e.attribution.names:
        if isinstance(name, int) and name >= tested:
            raise UserError(
                f"{e.key}: attribution.names asks for image {name}, and {e.data.dataset} has {tested} test images; "
                f"they count from 0, so name one up to {tested - 1}"
            )
