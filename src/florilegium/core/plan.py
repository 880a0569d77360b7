"""The whole plan of one invocation: settings, preset, data sets, experiments, audits.

This is all that the Snakefile asks; `core.project` reads it from the project's YAML files.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from florilegium.core.departures import Paper, departures, origins
from florilegium.core.errors import unknown
from florilegium.core.experiment import Experiment
from florilegium.core.figures import ChosenFigure, asked
from florilegium.core.networks import described, is_same
from florilegium.core.recipe import FEATURED, Recipe
from florilegium.core.schema import Preset, Settings, StudyFile
from florilegium.core.sources import Dataset, DatasetOverride
from florilegium.core.tasks import TaskName
from florilegium.core.training_recipe import FROM_FINDER


@dataclass(frozen=True)
class Plan:
    """Everything that is to be made, in one preset."""

    settings: Settings
    preset: Preset
    datasets: dict[str, Dataset]
    studies: dict[str, StudyFile]
    experiments: tuple[Experiment, ...]
    figures: dict[str, list[ChosenFigure]]
    paper: Paper

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
        return self.origin(e) | {"experiment": e.name}

    def origin(self, e: Experiment) -> dict[str, Any]:
        """The preset of a run, and whether its pictures are a demo's: all drawn by the project."""
        return {"preset": self.settings.preset, "rendered": self.rendered([e])}

    def rendered(self, experiments: Iterable[Experiment]) -> bool:
        """Whether all images that the experiments use are drawn by the project."""
        used = {self.source(e.data.dataset)[0] for e in experiments}
        return bool(used) and all(self.datasets[name].rendered is not None for name in used)

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
            "rendered": self.rendered(self.of(study)),
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
            "learns_from": self._learned_from(e),
            "departures": [d.model_dump() for d in departures(e, self.paper, self._by_key)],
            "published": [p.model_dump(mode="json") for p in e.published],
            "baseline": e.baseline.model_dump(mode="json") if e.baseline else None,
            "role": self.role(e),
            "lr": 0.0 if e.recipe.lr == FROM_FINDER else e.recipe.base_lr,
            "lr_factor": e.lr_factor,
            "values": self._values(e),
            "attention": e.attention.model_dump(mode="json") if e.attention else None,
            "attribution": e.attribution.model_dump(mode="json") if e.attribution else None,
            "samples": e.samples.model_dump(mode="json") if e.samples else None,
            "sets": list(e.samples.sets) if e.samples else [],
        }

    def _values(self, e: Experiment) -> dict[str, Any]:
        """What figures draw an arm by; a network in place of the published one has no claim to its name."""
        values = asked(e, self.figures[e.study], e.key)
        reference = self.paper.model_of(e)
        if "model.name" in values and reference and not is_same(e.model, reference.model):
            values["model.name"] = described(e.model, reference.model, e.network or reference.model.name)
        return values

    def _learned_from(self, e: Experiment) -> list[dict[str, Any]]:
        """The data sets that an arm learns from, its own first, then those of what it starts from; and what the
        makers of the study's own publish, as far as that is known."""
        theirs = self.paper.of(e)
        source = self.source(e.data.dataset)[0]
        name = theirs.data.dataset if theirs else source
        original = self.datasets[name]
        found = {
            "dataset": e.data.dataset,
            "stands_in": name != source,
            "classes": len(original.classes) or None,
            "images": sum(original.images.values()) if original.images else None,
        }
        before = [of for start in origins(e, self._by_key) for of in self._learned_from(start)]
        return list({of["dataset"]: of for of in [found, *before][::-1]}.values())[::-1]

    def role(self, e: Experiment) -> str:
        """An experiment that others start from, and of which nothing was published, is only a part of them."""
        if e.key in self._starts and not e.published:
            return "pretrain"
        if e.lr_factor != 1:
            return "rate"
        return "transfer" if e.init else "scratch"
