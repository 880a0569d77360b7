"""The plan of one invocation: its experiments, and what they need from each other."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

from florilegium.config.claims import Claim
from florilegium.config.datasets import Dataset, split_names
from florilegium.config.experiment import Experiment
from florilegium.config.figures import PlotChoice, plotted_values
from florilegium.config.metrics import TaskName
from florilegium.config.networks import described, is_same
from florilegium.config.recipes import FEATURED, FROM_FINDER
from florilegium.config.study import Preset, Settings, StudyFile
from florilegium.core.errors import unknown
from florilegium.plan.departures import Paper, departures, origins

Phase = Literal["pretrain", "sweep", "ablate", "finetune", "train"]
PHASES: tuple[Phase, ...] = get_args(Phase)
PUBLISHED_NORM = "ln"  # of the transformers in which other norms are tried
Seeds = tuple[int, ...]
Group = tuple[Phase, TaskName, Seeds]


@dataclass(frozen=True)
class Plan:
    """All experiments of one preset, with the files that they come from."""

    settings: Settings
    preset: Preset
    datasets: dict[str, Dataset]
    studies: dict[str, StudyFile]
    experiments: tuple[Experiment, ...]
    figures: dict[str, list[PlotChoice]]
    claims: dict[str, list[Claim]]
    paper: Paper
    remarks: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # of the studies, for messages

    def of(self, study: str) -> list[Experiment]:
        """The experiments of one study."""
        return [e for e in self.experiments if e.study == study]

    def find(self, study: str, experiment: str, arm: str) -> Experiment:
        """One arm; raises `UserError` if there is none of that name."""
        key = f"{study}/{experiment}/{arm}"
        if key not in self.by_key:
            raise unknown("experiment", key, self.by_key)
        return self.by_key[key]

    @cached_property
    def by_key(self) -> dict[str, Experiment]:
        """The experiments by `Experiment.key`: the workflow looks several up for each job."""
        return {e.key: e for e in self.experiments}

    # Data sets and weights

    def source(self, dataset: str) -> tuple[str, int | None]:
        """The source of a data set and the number of its official split, if it is one of several."""
        return self._sources.get(dataset, (dataset, None))

    @cached_property
    def _sources(self) -> dict[str, tuple[str, int | None]]:
        return split_names(self.datasets)

    def weights(self) -> list[str]:
        """The names, in `workflow/weights.yaml`, of the published weights that experiments start from."""
        return sorted({e.init.weights for e in self.experiments if e.init and e.init.weights})

    def audits(self) -> list[tuple[str, str]]:
        """Every pair (trained on, target) of data sets that meet in an experiment, a data set with itself included,
        whether or not the experiment cleans its training images."""
        pairs: dict[tuple[str, str], None] = {}
        for e in self.experiments:
            here = e.data.dataset
            pairs |= dict.fromkeys([(here, here), *((here, target) for target in e.data.clean)])
            pairs |= dict.fromkeys((origin.data.dataset, here) for origin in self._all_origins(e))
        return list(pairs)

    def _all_origins(self, e: Experiment) -> list[Experiment]:
        """The experiments whose weights, or generated images, this one learns from, directly or not."""
        return [origin for start in origins(e, self.by_key) for origin in (start, *self._all_origins(start))]

    def rendered(self, experiments: Iterable[Experiment]) -> bool:
        """True if the project renders all images that the experiments use."""
        used = {self.source(e.data.dataset)[0] for e in experiments}
        return bool(used) and all(self.datasets[name].rendered is not None for name in used)

    # Specs of trainings, and of the stages before them

    def spec(self, e: Experiment) -> dict[str, Any]:
        """The JSON values that a training of `e` depends on. The number of processes counts from two on, since they add
        their gradients in another order, so that the last bits differ. How pictures are read is in the pixels already,
        and is kept for those that the trained network will see."""
        processes, pictures = self.settings.gpus_per_training, self.settings.pictures.model_dump(mode="json")
        return e.spec() | {"pictures": pictures} | ({"processes": processes} if processes > 1 else {})

    def features_spec(self, e: Experiment) -> dict[str, Any]:
        """The JSON values that the cached features of `e` depend on, without those of its heads."""
        spec = e.spec()
        return spec | {"recipe": {key: spec["recipe"][key] for key in FEATURED}}

    def finder_spec(self, e: Experiment) -> dict[str, Any]:
        """The JSON values that the learning-rate finder of `e` depends on, without those of later steps."""
        return e.spec() | {"recipe": e.recipe.finder_uses()}

    def origin(self, e: Experiment) -> dict[str, Any]:
        """The preset of a run, and `rendered`."""
        return {"preset": self.settings.preset, "rendered": self.rendered([e])}

    def caption_facts(self, e: Experiment) -> dict[str, Any]:
        """The facts in the caption of a run's picture."""
        return self.origin(e) | {"experiment": e.name}

    # Runs by the process that makes them

    def groups(self) -> dict[tuple[TaskName, Seeds], list[str]]:
        """The `Experiment.key`s of each task with the seeds that share a process: one seed, unless the preset sets
        `share_process`."""
        groups: dict[tuple[TaskName, Seeds], list[str]] = {}
        for e in self.experiments:
            for seeds in [e.seeds] if self.preset.share_process else [(seed,) for seed in e.seeds]:
                groups.setdefault((e.task, seeds), []).append(e.key)
        return groups

    def trainings(self) -> dict[Group, list[str]]:
        """`groups`, further divided by phase: a rule each."""
        trainings: dict[Group, list[str]] = {}
        for (task, seeds), keys in self.groups().items():
            for key in keys:
                trainings.setdefault((self.phase(self.by_key[key]), task, seeds), []).append(key)
        return trainings

    def feature_groups(self) -> dict[Seeds, list[str]]:
        """The `Experiment.key`s with cached features, by the seeds whose features are made in one process."""
        groups: dict[Seeds, list[str]] = {}
        for (_, seeds), keys in self.groups().items():
            for e in (self.by_key[key] for key in keys):
                first = self.features_seed(e)
                if is_cached(e) and (first is None or first in seeds):
                    groups.setdefault(seeds if first is None else (first,), []).append(e.key)
        return groups

    def features_seed(self, e: Experiment) -> int | None:
        """The seed whose features all seeds of `e` share, since they start from one file; None if each has its own."""
        return e.seeds[0] if e.init and not e.init.experiment else None

    def role(self, e: Experiment) -> str:
        """`pretrain` for an experiment that others learn from and that has no published result, `rate` at another
        learning rate, else `transfer` or `scratch`."""
        if e.key in self._starts and not e.published:
            return "pretrain"
        if e.lr_factor != 1:
            return "rate"
        return "transfer" if e.init else "scratch"

    @cached_property
    def _starts(self) -> set[str]:
        """The keys of all experiments whose weights or images others learn from."""
        return {origin.key for e in self.experiments for origin in self._all_origins(e)}

    def phase(self, e: Experiment) -> Phase:
        """The first phase that applies to an arm.

        - `pretrain`: others of its study learn from it, and it has no published result.
        - `sweep`: it is its experiment at another learning rate, or a point of a grid.
        - `ablate`: some blocks of its network are frozen, or a transformer has another norm than layer norm.
        - `finetune`: it starts from weights.
        - `train`: all others.
        """
        role = self.role(e)
        if role == "pretrain":
            return "pretrain"
        if role == "rate" or e.unsplit_name != e.entry:
            return "sweep"
        has_other_norm = e.task == "classification" and e.model.arguments.get("norm", PUBLISHED_NORM) != PUBLISHED_NORM
        if getattr(e.recipe, "freeze_blocks", 0) or has_other_norm:
            return "ablate"
        return "finetune" if e.init else "train"

    # Descriptions of studies for the comparison and the figures

    def description(self, study: str) -> dict[str, Any]:
        """The JSON values that the comparison and the figures of a study depend on."""
        return {
            "study": study,
            "title": self.studies[study].title,
            "preset": self.settings.preset,
            "rendered": self.rendered(self.of(study)),
            "preset_note": self.preset.note,
            "entries": [self._entry(e) for e in self.of(study)],
            "figures": [figure.model_dump(mode="json") for figure in self.figures[study]],
            "claims": [claim.model_dump(mode="json") for claim in self.claims[study]],
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
            "split": e.split,
            "storage_size": getattr(e.data, "storage_size", None),
            "packing": getattr(e.data, "packing", None),
            "test": list(e.data.test),
            "learns_from": self._learned_from(e),
            "cleaned": self._cleaned(e),
            "departures": [d.model_dump() for d in departures(e, self.paper, self.by_key)],
            "published": [p.model_dump(mode="json") for p in e.published],
            "baseline": _json(e.baseline),
            "role": self.role(e),
            "lr": None if e.recipe.lr == FROM_FINDER else e.recipe.base_lr,
            "lr_factor": e.lr_factor,
            "values": self._values(e),
            "attention": _json(e.attention),
            "attribution": _json(e.attribution),
            "samples": _json(e.samples),
            "sets": list(e.samples.sets) if e.samples else [],
        }

    def _values(self, e: Experiment) -> dict[str, Any]:
        """The values of an arm on the axes of figures; a network that replaces the published one has its own name."""
        values = plotted_values(e, self.figures[e.study], e.key)
        reference = self.paper.reference(e)
        if "model.name" in values and reference and not is_same(e.model, reference.model):
            values["model.name"] = described(e.model, reference.model, e.network or reference.model.name)
        return values

    def _cleaned(self, e: Experiment) -> dict[str, str]:
        """By other data set that an arm learns from, which of its copies of this one's pictures were removed."""
        return {
            origin.data.dataset: origin.data.clean_by if e.data.dataset in origin.data.clean else "nothing"
            for origin in self._all_origins(e)
            if origin.data.dataset != e.data.dataset
        }

    def _learned_from(self, e: Experiment) -> list[dict[str, Any]]:
        """The data sets that an arm learns from, its own first, then those of its origins; with the numbers of images
        and classes of the study's own, as far as they are known."""
        published = self.paper.of(e)
        source = self.source(e.data.dataset)[0]
        name = published.data.dataset if published else source
        original = self.datasets[name]
        own = {
            "dataset": e.data.dataset,
            "stands_in": name != source,
            "classes": len(original.classes) or None,
            "images": sum(original.images.values()) if original.images else None,
        }
        before = [entry for start in origins(e, self.by_key) for entry in self._learned_from(start)]
        return list({entry["dataset"]: entry for entry in [own, *before][::-1]}.values())[::-1]


def is_cached(e: Experiment) -> bool:
    """True for an experiment that trains only its heads, on cached features."""
    return getattr(e.recipe, "features", None) == "cached"


def shares_seeds(group: Group, others: Iterable[Group]) -> bool:
    """True if another group has a run with one of the seeds of this one."""
    return any(set(group[2]) & set(other[2]) for other in others if other != group)


def _json(section: Any) -> dict[str, Any] | None:
    return section.model_dump(mode="json") if section else None
