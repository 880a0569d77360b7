"""The whole plan of one invocation: settings, preset, data sets, experiments, audits.

This is all that the Snakefile asks; it reads the project's YAML files and no data.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from florilegium.core.detection import DetectionData
from florilegium.core.errors import UserError, unknown
from florilegium.core.experiment import Experiment
from florilegium.core.experiments import every_arm, resolve
from florilegium.core.figures import ChosenFigure, asked, choose
from florilegium.core.metrics import check_metrics
from florilegium.core.recipe import COUNTED, FEATURED, Recipe
from florilegium.core.schema import Overlay, Preset, Settings, StudyFile
from florilegium.core.sources import Dataset, DatasetOverride
from florilegium.core.tasks import TaskName
from florilegium.core.training_recipe import FROM_FINDER
from florilegium.core.validate import parse, read_yaml

CONFIG = "config.yaml"


@dataclass(frozen=True)
class Plan:
    """Everything that is to be made, in one preset."""

    settings: Settings
    preset: Preset
    datasets: dict[str, Dataset]
    studies: dict[str, StudyFile]
    experiments: tuple[Experiment, ...]
    figures: dict[str, list[ChosenFigure]]

    def of(self, study: str) -> list[Experiment]:
        """The experiments of one study."""
        return [e for e in self.experiments if e.study == study]

    def find(self, study: str, experiment: str, arm: str) -> Experiment:
        """One arm; raises `UserError` when there is none of that name."""
        key = f"{study}/{experiment}/{arm}"
        if key not in self._by_key:
            raise unknown("experiment", key, self._by_key)
        return self._by_key[key]

    @cached_property
    def _by_key(self) -> dict[str, Experiment]:
        """The workflow asks for an experiment several times a job: a search would cost their square."""
        return {e.key: e for e in self.experiments}

    def groups(self) -> dict[tuple[TaskName, tuple[int, ...]], list[str]]:
        """Which runs share a process: task and seeds to `Experiment.key`s. One seed each, unless the
        preset says that the seeds of an experiment share one."""
        found: dict[tuple[TaskName, tuple[int, ...]], list[str]] = {}
        for e in self.experiments:
            for seeds in [e.seeds] if self.preset.share_process else [(seed,) for seed in e.seeds]:
                found.setdefault((e.task, seeds), []).append(e.key)
        return found

    def spec(self, e: Experiment) -> dict[str, Any]:
        """What a training of `e` depends on, as JSON values. Several processes add up other last bits
        than one does; one is not named."""
        processes = self.settings.gpus_per_training
        return e.spec() | ({"processes": processes} if processes > 1 else {})

    def features_spec(self, e: Experiment) -> dict[str, Any]:
        """What the cached features of `e` depend on: nothing that only its heads are trained with."""
        spec = e.spec()
        return spec | {"recipe": {key: spec["recipe"][key] for key in FEATURED}}

    def finder_spec(self, e: Experiment) -> dict[str, Any]:
        """What the learning-rate finder of `e` depends on: nothing that comes after the first steps."""
        return e.spec() | {"recipe": e.recipe.finder_uses()}

    def drawn(self, e: Experiment) -> dict[str, Any]:
        """What a picture of a run says of its origin."""
        shown = {"preset": self.settings.preset, "comparable": self.preset.comparable}
        return shown | {"experiment": e.name}

    def features_seed(self, e: Experiment) -> int | None:
        """The seed whose features all seeds of `e` share, since they start from one file; None where each
        has its own."""
        return e.seeds[0] if e.init and not e.init.experiment else None

    def feature_groups(self) -> dict[tuple[int, ...], list[str]]:
        """Which features are made in one process: seeds to `Experiment.key`s, as in `groups`."""
        found: dict[tuple[int, ...], list[str]] = {}
        cached = {
            e.key for e in self.experiments if isinstance(e.recipe, Recipe) and e.recipe.features == "cached"
        }
        for (_, seeds), keys in self.groups().items():
            for e in (self._by_key[key] for key in keys if key in cached):
                first = self.features_seed(e)
                if first is None or first in seeds:
                    found.setdefault(seeds if first is None else (first,), []).append(e.key)
        return found

    def with_attention(self) -> dict[str, Experiment]:
        """The experiments whose attention is looked at, by their key."""
        return {e.key: e for e in self.experiments if e.attention}

    def with_attribution(self) -> dict[str, Experiment]:
        """The experiments whose answers are explained, by their key."""
        return {e.key: e for e in self.experiments if e.attribution}

    def estimated(self) -> list[dict[str, Any]]:
        """What GPU hours are estimated from, as JSON values: the classifiers, and how often each is run.

        Runs of a cached probe that share their features count once: the rest takes seconds.
        """
        found = []
        for e in self.experiments:
            source = self.datasets[self.source(e.data.dataset)[0]]
            if isinstance(e.recipe, Recipe) and source.images is not None:
                cached = e.recipe.features == "cached"
                shared = cached and self.features_seed(e) is not None
                found.append(
                    {
                        "experiment": e.key,
                        "runs": 1 if shared else len(e.seeds),
                        "cached": cached,
                        "images": source.images,
                        "classes": len(source.classes),
                        "model": e.model.model_dump(mode="json"),
                        "recipe": e.recipe.model_dump(mode="json", include=set(COUNTED)),
                        "data": e.data.model_dump(mode="json", exclude={"storage_size", "clean"}),
                    }
                )
        return found

    def source(self, dataset: str) -> tuple[str, int | None]:
        """The source of a data set and the number of its official split, if it is one of several."""
        stem, _, k = dataset.rpartition("_split")
        return (stem, int(k)) if stem in self.datasets and k.isdigit() else (dataset, None)

    def override(self, source: str) -> DatasetOverride | None:
        return self.settings.datasets.get(source)

    def weights(self) -> list[str]:
        """The published weights that experiments start from, by their name in `workflow/weights.yaml`."""
        return sorted({e.init.weights for e in self.experiments if e.init and e.init.weights})

    def audits(self, study: str | None = None) -> list[tuple[str, str]]:
        """Every pair (trained on, target) of data sets that meet in an experiment, doubles inside one
        set included, whether or not the experiment cleans its split of them."""
        pairs: dict[tuple[str, str], None] = {}
        for e in self.experiments if study is None else self.of(study):
            here = e.data.dataset
            pairs |= dict.fromkeys([(here, here), *((here, target) for target in e.data.clean)])
            for start in self._origins(e):
                pairs[start.data.dataset, here] = None
        return list(pairs)

    def _origins(self, experiment: Experiment) -> list[Experiment]:
        """The experiments whose weights, or generated images, this one learns from, directly or not."""
        found: list[Experiment] = []
        made = getattr(experiment.data, "generated", None)
        for start in (experiment.init, made):
            if start is not None and start.experiment:
                origin = self.find(experiment.study, start.experiment, start.arm)
                found += [origin, *self._origins(origin)]
        return found

    @cached_property
    def _starts(self) -> set[str]:
        """The keys of all experiments whose weights others start from."""
        return {start.key for e in self.experiments for start in self._origins(e)}

    def description(self, study: str) -> dict[str, Any]:
        """What the comparison and the figures of a study depend on, as JSON values."""
        return {
            "study": study,
            "title": self.studies[study].title,
            "preset": self.settings.preset,
            "comparable": self.preset.comparable,
            "preset_note": self.preset.note,
            "entries": [self._entry(e) for e in self.of(study)],
            "figures": [figure.model_dump(mode="json") for figure in self.figures[study]],
        }

    def _entry(self, e: Experiment) -> dict[str, Any]:
        return {
            "experiment": e.name,
            "arm": e.arm,
            "task": e.task,
            "title": e.title,
            "note": e.note,
            "seeds": list(e.seeds),
            "dataset": e.data.dataset,
            "source": self.source(e.data.dataset)[0],
            "storage_size": getattr(e.data, "storage_size", None),
            "packing": getattr(e.data, "packing", None),
            "test": list(e.data.test),
            "published": [p.model_dump(mode="json") for p in e.published],
            "baseline": e.baseline.model_dump(mode="json") if e.baseline else None,
            "role": self._role(e),
            "lr": 0.0 if e.recipe.lr == FROM_FINDER else e.recipe.base_lr,
            "lr_factor": e.lr_factor,
            "values": asked(e, self.figures[e.study], e.key),
            "attention": e.attention.model_dump(mode="json") if e.attention else None,
            "attribution": e.attribution.model_dump(mode="json") if e.attribution else None,
            "samples": e.samples.model_dump(mode="json") if e.samples else None,
        }

    def _role(self, e: Experiment) -> str:
        """An experiment that others start from, and of which nothing was published, is only a part of them."""
        if e.key in self._starts and not e.published:
            return "pretrain"
        if e.lr_factor != 1:
            return "rate"
        return "transfer" if e.init else "scratch"


def load_plan(project: Path, config: Mapping[str, Any]) -> Plan:
    """Read and check everything below `project`.

    Args:
        project: the folder of the Snakefile.
        config: the content of `config.yaml`, with what the command line changed.

    Raises:
        UserError: for anything misspelt, of a wrong type, missing or impossible.
    """
    settings = parse(Settings, config, CONFIG)
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
    for e in experiments:
        check_metrics((p.metric for p in e.published), f"{e.key}: published", paired=True)
    figures = {
        study: choose(
            file.figures, [e for e in experiments if e.study == study], every_arm(file, where), where
        )
        for study, (where, file) in studies.items()
    }
    files = {study: file for study, (_, file) in studies.items()}
    return Plan(settings, preset, datasets, files, tuple(experiments), figures)


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
