"""A project read from its files: settings, preset, data sets and studies, checked together into a plan."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from florilegium.core.committed import REFERENCE
from florilegium.core.detection import DetectionData
from florilegium.core.errors import UserError, unknown
from florilegium.core.experiment import Experiment
from florilegium.core.figures import choose
from florilegium.core.metrics import check_metrics
from florilegium.core.schema import Overlay, Preset, Settings, StudyFile
from florilegium.core.sources import Dataset
from florilegium.core.validate import parse, read_yaml
from florilegium.plan.departures import Paper
from florilegium.plan.plan import Plan
from florilegium.plan.references import check_tests
from florilegium.plan.resolve import every_arm, resolve
from florilegium.plan.titles import figure_titled, titled

CONFIG = "config.yaml"
PAPER = "paper"  # the preset that is as published


def load_plan(project: Path, config: Mapping[str, Any]) -> Plan:
    """Read and check everything below `project`.

    Args:
        project: the folder of the Snakefile.
        config: the content of `config.yaml`, with what the command line changed.

    Raises:
        UserError: for anything misspelt, of a wrong type, missing or impossible.
    """
    settings = parse(Settings, config, CONFIG)
    if settings.preset == REFERENCE:
        raise UserError(
            f"{CONFIG}: preset: results/{REFERENCE} holds what is committed, so no preset is called {REFERENCE}; "
            "give yours another name"
        )
    preset_path = project / "workflow" / "presets" / f"{settings.preset}.yaml"
    if not preset_path.is_file():
        raise unknown("preset", settings.preset, (p.stem for p in preset_path.parent.glob("*.yaml")), CONFIG)
    preset = parse(Preset, read_yaml(preset_path), shown(preset_path, project))
    datasets = _datasets(project, settings)
    studies = _studies(project, settings)
    experiments = [
        experiment
        for study, (where, file) in studies.items()
        for experiment in resolve(
            study,
            file,
            where=where,
            overlays=_overlays(study, preset, shown(preset_path, project), settings),
            seeds=preset.seeds if settings.seeds is None else settings.seeds,
            stand_ins=preset.datasets | settings.stand_ins,
            splits=_splits(datasets, settings),
        )
    ]
    _check_datasets(experiments, datasets, preset)
    for study, (where, _) in studies.items():
        check_tests([e for e in experiments if e.study == study], where)
    paper = _paper(project, settings, datasets, studies, preset.datasets | settings.stand_ins)
    experiments = [titled(e, paper) for e in experiments]
    for e in experiments:
        check_metrics((p.metric for p in e.published), e.task, f"{e.key}: published", paired=True)
    figures = {
        study: [
            figure_titled(figure, [e for e in experiments if e.study == study], paper)
            for figure in choose(
                file.figures, [e for e in experiments if e.study == study], every_arm(file, where), where
            )
        ]
        for study, (where, file) in studies.items()
    }
    files = {study: file for study, (_, file) in studies.items()}
    return Plan(settings, preset, datasets, files, tuple(experiments), figures, paper)


def shown(path: Path, project: Path) -> str:
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else str(path)


def _datasets(project: Path, settings: Settings) -> dict[str, Dataset]:
    where = "workflow/datasets.yaml"
    known = {
        name: parse(Dataset, entry, f"{where}: {name}") for name, entry in read_yaml(project / where).items()
    }
    for name, override in settings.datasets.items():
        if name not in known:
            raise unknown("data set", name, known, f"{CONFIG}: datasets")
        for file in override.files:
            if file not in {f.file for f in known[name].files}:
                raise unknown(
                    "file", file, (f.file for f in known[name].files), f"{CONFIG}: datasets.{name}.files"
                )
    taken = set(known) & set(settings.own_datasets)
    if taken:
        raise UserError(f"{CONFIG}: own_datasets.{sorted(taken)[0]}: the name is taken; choose another")
    every = {**known, **settings.own_datasets}
    for name in (*settings.stand_ins, *settings.stand_ins.values()):
        if name not in every:
            raise unknown("data set", name, every, f"{CONFIG}: stand_ins")
    return every


def _studies(project: Path, settings: Settings) -> dict[str, tuple[str, StudyFile]]:
    paths = sorted((project / "workflow" / "studies").glob("*.yaml"))
    paths += [project / own for own in settings.own_studies]
    known = {path.stem: path for path in paths}
    for study in settings.studies:
        if study not in known:
            raise unknown("study", study, known, f"{CONFIG}: studies")
    chosen = settings.studies or tuple(known)
    return {
        study: (shown(path, project), parse(StudyFile, read_yaml(path), shown(path, project)))
        for study, path in known.items()
        if study in chosen
    }


def _overlays(
    study: str, preset: Preset, preset_file: str, settings: Settings
) -> list[tuple[str, str, Overlay]]:
    """Changes by experiment name or glob, in rising precedence: the preset's for all, the preset's, the person's."""
    found = []
    if study in preset.studies:
        found.append(("*", preset_file, preset.studies[study].all))
        found += [(name, preset_file, overlay) for name, overlay in preset.studies[study].experiments.items()]
    for key, overlay in settings.experiments.items():
        owner, slash, name = key.partition("/")
        if not slash:
            raise UserError(
                f"{CONFIG}: experiments: '{key}' must be written study/experiment, such as flowers/{key}"
            )
        if owner == study:
            found.append((name, CONFIG, overlay))
    return found


def _paper(
    project: Path,
    settings: Settings,
    datasets: Mapping[str, Dataset],
    studies: Mapping[str, tuple[str, StudyFile]],
    stand_ins: Mapping[str, str],
) -> Paper:
    """The same studies in preset `paper`, without a change of the person's: what verdicts and names go by.

    A study that preset does not speak of, one of the person's own, is laid beside its own file. A file that cannot
    be run without changes has nothing to be laid beside.
    """
    path = project / "workflow" / "presets" / f"{PAPER}.yaml"
    preset = parse(Preset, read_yaml(path), shown(path, project)) if path.is_file() else None
    found: list[Experiment] = []
    left_out: set[str] = set()
    for study, (where, file) in studies.items():
        overlays = _overlays(study, preset, shown(path, project), Settings()) if preset else []
        kept = [
            (name, source, o.model_copy(update={"skip": False, "skip_arms": ()}))
            for name, source, o in overlays
        ]
        try:
            every = resolve(
                study, file, where=where, overlays=kept, seeds=settings.seeds or (0,), stand_ins={}, splits={}
            )
        except UserError:
            continue
        found += every
        left_out |= {e.key for e in every for name, _, o in overlays if _leaves_out(name, o, e)}
    originals = {
        (study, name): words for study, (_, f) in studies.items() for name, words in f.stands_in_for.items()
    }
    return Paper({e.key: e for e in found}, frozenset(left_out), datasets, stand_ins, originals)


def _leaves_out(pattern: str, overlay: Overlay, e: Experiment) -> bool:
    return fnmatchcase(e.entry, pattern) and (overlay.skip or e.arm in overlay.skip_arms)


def _splits(datasets: Mapping[str, Dataset], settings: Settings) -> dict[str, int]:
    """Data sets of which several official splits are in use: all of them, unless the file that
    holds the splits is said to be absent."""
    found = {}
    for name, dataset in datasets.items():
        override = settings.datasets.get(name)
        optional = {file.file for file in dataset.files if file.optional}
        absent = override is not None and any(override.files.get(file) == "absent" for file in optional)
        if dataset.official_splits > 1 and not absent:
            found[name] = dataset.official_splits
    return found


def _check_datasets(experiments: list[Experiment], datasets: Mapping[str, Dataset], preset: Preset) -> None:
    for e in experiments:
        for name in (e.data.dataset, *e.data.clean):
            stem, _, k = name.rpartition("_split")
            if name not in datasets and not (stem in datasets and k.isdigit()):
                raise unknown("data set", name, datasets, f"{e.key}: data")
        dataset = datasets.get(e.data.dataset) or datasets[e.data.dataset.rpartition("_split")[0]]
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
