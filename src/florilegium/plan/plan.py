"""The whole plan of one invocation."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from florilegium.config.data import Dataset, DatasetOverride, split_names
from florilegium.config.experiment import Experiment
from florilegium.config.figures import PlotChoice, plotted_values
from florilegium.config.metrics import TaskName
from florilegium.config.networks import described, is_same
from florilegium.config.recipes import FEATURED, FROM_FINDER, Recipe
from florilegium.config.study import Preset, Settings, StudyFile
from florilegium.core.errors import unknown
from florilegium.plan.departures import Paper, departures, origins

# Keys of a recipe that the number and size of its steps depend on.
COUNTED = frozenset(
    {
        *("epochs", "epoch_steps", "batch_size", "accumulate", "drop_last", "precision", "select"),
        *("image_size", "freeze", "freeze_blocks", "timesteps"),
    }
)


@dataclass(frozen=True)
class Plan:
    """Everything that is to be made, in one preset."""

    settings: Settings
    preset: Preset
    datasets: dict[str, Dataset]
    studies: dict[str, StudyFile]
    experiments: tuple[Experiment, ...]
    figures: dict[str, list[PlotChoice]]
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
        """Task and seeds that share a process, to the `Experiment.key`s that have them: one seed each, unless the
        preset says that the seeds of an experiment share a process."""
        groups: dict[tuple[TaskName, tuple[int, ...]], list[str]] = {}
        for e in self.experiments:
            for seeds in [e.seeds] if self.preset.share_process else [(seed,) for seed in e.seeds]:
                groups.setdefault((e.task, seeds), []).append(e.key)
        return groups

    def spec(self, e: Experiment) -> dict[str, Any]:
        """What a training of `e` depends on, as JSON values. The number of processes is named from two on: their
        gradients are added in another order, so that the last bits differ."""
        processes = self.settings.gpus_per_training
        return e.spec() | ({"processes": processes} if processes > 1 else {})

    def features_spec(self, e: Experiment) -> dict[str, Any]:
        """What the cached features of `e` depend on: nothing that only its heads are trained with."""
        spec = e.spec()
        return spec | {"recipe": {key: spec["recipe"][key] for key in FEATURED}}

    def finder_spec(self, e: Experiment) -> dict[str, Any]:
        """What the learning-rate finder of `e` depends on: nothing that comes after the first steps."""
        return e.spec() | {"recipe": e.recipe.finder_uses()}

    def caption_facts(self, e: Experiment) -> dict[str, Any]:
        """The facts that the caption of a run's picture states."""
        return self.origin(e) | {"experiment": e.name}

    def origin(self, e: Experiment) -> dict[str, Any]:
        """The preset of a run, and whether the project renders all of its images, as in a demo."""
        return {"preset": self.settings.preset, "rendered": self.rendered([e])}

    def rendered(self, experiments: Iterable[Experiment]) -> bool:
        """Whether the project renders all images that the experiments use."""
        used = {self.source(e.data.dataset)[0] for e in experiments}
        return bool(used) and all(self.datasets[name].rendered is not None for name in used)

    def features_seed(self, e: Experiment) -> int | None:
        """The seed whose features all seeds of `e` share, since they start from one file; None where each
        has its own."""
        return e.seeds[0] if e.init and not e.init.experiment else None

    def feature_groups(self) -> dict[tuple[int, ...], list[str]]:
        """The features that are made in one process: seeds to `Experiment.key`s, as in `groups`."""
        groups: dict[tuple[int, ...], list[str]] = {}
        cached = {e.key for e in self.experiments if isinstance(e.recipe, Recipe) and e.recipe.features == "cached"}
        for (_, seeds), keys in self.groups().items():
            for e in (self._by_key[key] for key in keys if key in cached):
                first = self.features_seed(e)
                if first is None or first in seeds:
                    groups.setdefault(seeds if first is None else (first,), []).append(e.key)
        return groups

    def with_attention(self) -> dict[str, Experiment]:
        """The experiments whose attention is looked at, by their key."""
        return {e.key: e for e in self.experiments if e.attention}

    def with_attribution(self) -> dict[str, Experiment]:
        """The experiments whose answers are explained, by their key."""
        return {e.key: e for e in self.experiments if e.attribution}

    def source(self, dataset: str) -> tuple[str, int | None]:
        """The source of a data set and the number of its official split, if it is one of several."""
        return self._sources.get(dataset, (dataset, None))

    @cached_property
    def _sources(self) -> dict[str, tuple[str, int | None]]:
        return split_names(self.datasets)

    def override(self, source: str) -> DatasetOverride | None:
        return self.settings.datasets.get(source)

    def weights(self) -> list[str]:
        """The names, in `workflow/weights.yaml`, of the published weights that experiments start from."""
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
        direct = origins(experiment, self._by_key)
        return [origin for start in direct for origin in (start, *self._origins(start))]

    @cached_property
    def _starts(self) -> set[str]:
        """The keys of all experiments whose weights or images others learn from."""
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
            "split": e.split,
            "storage_size": getattr(e.data, "storage_size", None),
            "packing": getattr(e.data, "packing", None),
            "test": list(e.data.test),
            "learns_from": self._learned_from(e),
            "departures": [d.model_dump() for d in departures(e, self.paper, self._by_key)],
            "published": [p.model_dump(mode="json") for p in e.published],
            "baseline": e.baseline.model_dump(mode="json") if e.baseline else None,
            "role": self.role(e),
            "lr": None if e.recipe.lr == FROM_FINDER else e.recipe.base_lr,
            "lr_factor": e.lr_factor,
            "values": self._values(e),
            "attention": e.attention.model_dump(mode="json") if e.attention else None,
            "attribution": e.attribution.model_dump(mode="json") if e.attribution else None,
            "samples": e.samples.model_dump(mode="json") if e.samples else None,
            "sets": list(e.samples.sets) if e.samples else [],
        }

    def _values(self, e: Experiment) -> dict[str, Any]:
        """The values that figures lay an arm out by; a network in place of the published one is not called by its
        name."""
        values = plotted_values(e, self.figures[e.study], e.key)
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
        own = {
            "dataset": e.data.dataset,
            "stands_in": name != source,
            "classes": len(original.classes) or None,
            "images": sum(original.images.values()) if original.images else None,
        }
        before = [of for start in origins(e, self._by_key) for of in self._learned_from(start)]
        return list({of["dataset"]: of for of in [own, *before][::-1]}.values())[::-1]

    def role(self, e: Experiment) -> str:
        """An experiment that others start from, and of which nothing was published, is only a part of them."""
        if e.key in self._starts and not e.published:
            return "pretrain"
        if e.lr_factor != 1:
            return "rate"
        return "transfer" if e.init else "scratch"


def estimated(plan: Plan) -> list[dict[str, Any]]:
    """The experiments whose data set tells how many images it has, as JSON values."""
    return [_counted(plan, e) for e in plan.experiments if _images(plan, e) is not None]


def uncounted(plan: Plan) -> dict[str, int]:
    """How many arms the others are, by data set."""
    return dict(Counter(plan.source(e.data.dataset)[0] for e in plan.experiments if _images(plan, e) is None))


def _images(plan: Plan, e: Experiment) -> dict[str, int] | None:
    images = plan.datasets[plan.source(e.data.dataset)[0]].images
    return None if images is None else {str(split): count for split, count in images.items()}


def _counted(plan: Plan, e: Experiment) -> dict[str, Any]:
    source = plan.datasets[plan.source(e.data.dataset)[0]]
    cached = isinstance(e.recipe, Recipe) and e.recipe.features == "cached"
    return {
        "experiment": e.key,
        "task": e.task,
        "runs": len(e.seeds),
        "images": _images(plan, e),
        "sides": source.sides,
        "classes": len(source.classes),
        "model": e.model.model_dump(mode="json"),
        "recipe": e.recipe.model_dump(mode="json", include=set(COUNTED)),
        "data": e.data.model_dump(mode="json", exclude={"storage_size", "clean"}),
        "cached": cached,
        "features": 1 if plan.features_seed(e) is not None else len(e.seeds),
        "finder": e.recipe.finder_steps if e.recipe.lr == FROM_FINDER else None,
        "attention": e.attention.model_dump(mode="json") if e.attention else None,
        "attribution": e.attribution.model_dump(mode="json") if e.attribution else None,
        "sets": {name: s.model_dump(mode="json") for name, s in e.samples.sets.items()} if e.samples else {},
        "judge": _judge(plan, e),
    }


def _judge(plan: Plan, e: Experiment) -> dict[str, Any] | None:
    if e.samples is None or e.samples.judge is None:
        return None
    judge = plan.find(e.study, e.samples.judge.experiment, e.samples.judge.arm)
    return {
        "model": judge.model.model_dump(mode="json"),
        "recipe": judge.recipe.model_dump(mode="json", include={"epochs", "image_size"}),
    }


Phase = Literal["pretrain", "sweep", "ablate", "finetune", "train"]
PHASES: tuple[Phase, ...] = get_args(Phase)
PUBLISHED_NORM = "ln"  # of the transformers in which another one is tried
Group = tuple[Phase, TaskName, tuple[int, ...]]


def phase_of(e: Experiment, role: str) -> Phase:
    """The first of these that is true of an arm.

    - `pretrain`: others of its study learn from it, and nothing of it is published.
    - `sweep`: it is its experiment at another learning rate, or a point of a grid.
    - `ablate`: some blocks of its network are frozen, or a transformer normalises otherwise than by layers.
    - `finetune`: it starts from weights.
    - `train`: none of these.

    Args:
        role: as `Plan.role` has it.
    """
    if role == "pretrain":
        return "pretrain"
    if role == "rate" or _is_grid_point(e):
        return "sweep"
    if getattr(e.recipe, "freeze_blocks", 0) or _has_other_norm(e):
        return "ablate"
    return "finetune" if e.init else "train"


def _is_grid_point(e: Experiment) -> bool:
    return e.unsplit_name != e.entry


def _has_other_norm(e: Experiment) -> bool:
    norm = e.model.arguments.get("norm", PUBLISHED_NORM)
    return e.task == "classification" and norm != PUBLISHED_NORM


def groups(plan: Plan) -> dict[Group, list[str]]:
    """The trainings by what a rule is made for: phase, task, and the seeds that share a process; as
    `Experiment.key`s."""
    found: dict[Group, list[str]] = {}
    for (task, seeds), keys in plan.groups().items():
        for e in (plan.find(*key.split("/")) for key in keys):
            found.setdefault((phase_of(e, plan.role(e)), task, seeds), []).append(e.key)
    return found


def shares_seeds(group: Group, others: Iterable[Group]) -> bool:
    """Whether another group makes runs of a seed that this one makes runs of, too."""
    return any(set(group[2]) & set(other[2]) for other in others if other != group)
