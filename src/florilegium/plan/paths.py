"""Where everything of a plan lies, relative to the project's folder: what the rules read, and what they are asked for.

In a path that depends on the run's seed, `{seed}` is left open.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from florilegium.config.experiment import Experiment
from florilegium.config.recipes import FROM_FINDER
from florilegium.core import outputs
from florilegium.plan.plan import Phase, Plan, phase_of

NEAREST = 3  # most right paths that are named for a wrong one
TIE = 0.01  # difference of two ratios of `difflib` that are as good as equal
Files = dict[str, Any]
"""Paths by the role that a rule reads them in: one, or a list."""


@dataclass(frozen=True)
class Paths:
    """Paths of the data sets, runs and reports of one plan."""

    plan: Plan

    @cached_property
    def results(self) -> str:
        return f"results/{self.plan.settings.preset}"

    def run(self, e: Experiment, seed: int | str = "{seed}") -> str:
        """The folder of a run."""
        return f"{self.results}/{e.key}/seed{seed}"

    # Data sets and their audits

    def of_source(self, dataset: str, file: str) -> str:
        """A file of the source of a data set, whichever official split of it is named."""
        return f"resources/{self.plan.source(dataset)[0]}/{file}"

    def audit(self, a: str, b: str) -> str:
        """The folder of the audit of a pair of data sets."""
        return f"{self.results}/audit/{a}__{b}"

    def audits(self) -> list[str]:
        """What a person sees of all audits."""
        return [f"{self.audit(a, b)}/{file}" for a, b in self.plan.audits() for file in outputs.AUDIT]

    def audit_inputs(self, a: str, b: str) -> Files:
        """Everything that the audit of a pair of data sets reads."""
        found: Files = {}
        for side, name in (("a", a), ("b", b)):
            found[f"files_{side}"] = self.of_source(name, "files.json")
            found[f"hashes_{side}"] = self.of_source(name, "hashes.npz")
            found[f"images_{side}"] = f"resources/{name}/images.csv"
        return found

    def packed(self, e: Experiment, ending: str = "npy") -> str:
        """The packed images of an experiment; with `ending` csv, their names."""
        if e.task == "detection":
            return self.of_source(e.data.dataset, f"scenes{e.data.packing}.{ending}")
        return self.of_source(e.data.dataset, f"pixels{e.data.storage_size}.{ending}")

    def downloads(self) -> list[str]:
        """What is fetched or rendered, its tables, and first weights."""
        sets = list(dict.fromkeys(name for pair in self.plan.audits() for name in pair))
        files = [self.of_source(name, "files.json") for name in sets]
        tables = [f"resources/{name}/images.csv" for name in sets]
        return [*dict.fromkeys((*files, *tables)), *map(weights, self.plan.weights())]

    # What a training, and whatever else looks at its images, reads

    def image_inputs(self, e: Experiment) -> Files:
        """The images that an experiment sees, and the audits that decide which."""
        data = e.data
        found: Files = {"pixels": self.packed(e), "packed": self.packed(e, "csv")}
        if e.task == "detection":
            found["annotations"] = self.of_source(data.dataset, "annotations.json")
        else:
            found["images"] = f"resources/{data.dataset}/images.csv"
            found["classes"] = f"resources/{data.dataset}/images.json"
        found["dropped"] = [f"{self.audit(data.dataset, target)}/dropped.csv" for target in data.clean]
        if getattr(data, "holdout", None) is not None:
            found["pairs"] = f"{self.audit(data.dataset, data.dataset)}/pairs.csv"
        return found

    def image_options(self, e: Experiment) -> list[str]:
        """`image_inputs` as arguments of a stage."""
        files = self.image_inputs(e)
        named = ("pixels", "images", "annotations", "pairs")
        options = [text for name in named if name in files for text in (f"--{name}", files[name])]
        return [*options, "--dropped", *files["dropped"]] if files["dropped"] else options

    def tested_inputs(self, e: Experiment) -> Files:
        """The packed images that a run was tested on, and their names."""
        return {"pixels": self.packed(e), "packed": self.packed(e, "csv")}

    def first_weights(self, e: Experiment) -> str | None:
        """What an experiment starts from, if it does."""
        if e.init is None:
            return None
        if e.init.experiment:
            start = self.plan.find(e.study, e.init.experiment, e.init.arm)
            return f"{self.run(start)}/checkpoint.safetensors"
        return e.init.file or weights(str(e.init.weights))

    def generated_images(self, e: Experiment) -> str | None:
        """The images that an experiment learns from beside real ones, if it does."""
        made = getattr(e.data, "generated", None)
        if made is None or not made.share:
            return None
        generator = self.plan.find(e.study, made.experiment, made.arm)
        return f"{self.run(generator)}/samples/{made.samples}/samples.npy"

    def features(self, e: Experiment) -> str:
        """The folder of an experiment's cached features."""
        seed = self.plan.features_seed(e)
        return f"{self.run(e, '{seed}' if seed is None else seed)}/features"

    def start_inputs(self, e: Experiment, seeds: Sequence[int]) -> Files:
        """The images of an experiment and its first weights: what is needed before a training."""
        start = self.first_weights(e)
        return self.image_inputs(e) | ({"init": _of_seeds([start], seeds)} if start else {})

    def start_options(self, e: Experiment) -> list[str]:
        """`start_inputs` as arguments of a stage, with where it writes."""
        return [*self.image_options(e), *_named("--init", self.first_weights(e)), *self._out(e)]

    def training_inputs(self, e: Experiment, seeds: Sequence[int]) -> Files:
        """Everything that one training reads: images, or features in their place; then what only some have."""
        found = self.start_inputs(e, seeds)
        if is_cached(e):
            features = _of_seeds([f"{self.features(e)}/{file}" for file in outputs.FEATURES], seeds)
            found = {"features": features} | ({"init": found["init"]} if "init" in found else {})
        elif made := self.generated_images(e):
            found["generated"] = _of_seeds([made, f"{made.removesuffix('.npy')}.csv"], seeds)
        if takes_finder(e):
            found["finder"] = _of_seeds([f"{self.run(e)}/finder/finder.json"], seeds)
        return found

    def training_options(self, e: Experiment) -> list[str]:
        """`training_inputs` as arguments of a stage, with where it writes; in one parameter, since Snakemake takes
        time for each of every job."""
        preset = self.plan.settings.preset
        return [
            *(["--features", self.features(e)] if is_cached(e) else self.image_options(e)),
            *_named("--init", self.first_weights(e)),
            *_named("--generated", self.generated_images(e)),
            *_named("--finder", f"{self.run(e)}/finder/finder.json" if takes_finder(e) else None),
            *self._out(e),
            *("--state", f"state/{preset}/{e.key}"),
            *("--tensorboard", f"logs/tensorboard/{preset}/{e.key}"),
        ]

    def _out(self, e: Experiment) -> list[str]:
        return ["--out", f"{self.results}/{e.key}"]

    def judge(self, e: Experiment, seed: int | str) -> str:
        """The classifier that judges the images of a generator."""
        judge = e.samples.judge if e.samples else None
        assert judge is not None, f"{e.key} is not judged"
        return f"{self.run(self.plan.find(e.study, judge.experiment, judge.arm), seed)}/checkpoint.safetensors"

    # What is asked for: everything of one kind, of one study or of all

    def experiments(self, study: str | None = None) -> Iterable[Experiment]:
        return self.plan.experiments if study is None else self.plan.of(study)

    def runs(self, study: str, *files: str, answers: bool = False) -> list[str]:
        """Files of every run of a study; which hold its answers depends on its task."""
        return [
            f"{self.run(e, seed)}/{file}"
            for e in self.experiments(study)
            for seed in e.seeds
            for file in (*files, *(outputs.ANSWERS[e.task] if answers else ()))
        ]

    def trained(self, phase: Phase) -> list[str]:
        """The metrics of all runs that are in their study what `phase` says."""
        chosen = (e for e in self.experiments() if phase_of(e, self.plan.role(e)) == phase)
        return [f"{self.run(e, seed)}/metrics.json" for e in chosen for seed in e.seeds]

    def attention(self, study: str | None = None, *files: str, pictures: bool = False) -> list[str]:
        """What is seen of the attention of networks, in the first seed of each arm."""
        return [
            f"{self.run(e, e.seeds[0])}/attention/{file}"
            for e in self.experiments(study)
            if e.attention
            for file in (*files, *(outputs.ATTENTION_PICTURES[e.attention.of] if pictures else ()))
        ]

    def attribution(self, study: str | None = None, *files: str, pictures: bool = False) -> list[str]:
        """What explains the answers of classifiers, in the first seed of each arm."""
        return [
            f"{self.run(e, e.seeds[0])}/attribution/{file}"
            for e in self.experiments(study)
            if e.attribution
            for file in (*files, *(outputs.attribution_images(e.attribution.figures) if pictures else ()))
        ]

    def samples(self, study: str | None = None, *files: str) -> list[str]:
        """What is made with generators; what judges it, where there is a judge."""
        return [
            f"{self.run(e, seed)}/samples/{name}/{file}"
            for e in self.experiments(study)
            if e.samples
            for seed in e.seeds
            for name in e.samples.sets
            for file in files
            if e.samples.judge or file not in outputs.JUDGEMENT
        ]

    def finders(self, study: str) -> list[str]:
        """The pictures behind the rates that experiments of a study take from their finders."""
        finding = (e for e in self.experiments(study) if takes_finder(e))
        return [f"{self.run(e, seed)}/finder/finder.png" for e in finding for seed in e.seeds]

    def pixels(self, study: str | None = None) -> list[str]:
        """The packed images that classifiers are tested on."""
        return sorted({self.packed(e) for e in self.experiments(study) if e.task == "classification"})

    def pixels_of_all(self) -> list[str]:
        """The packed images of all experiments."""
        return sorted({self.packed(e) for e in self.experiments()})

    def tables(self, study: str | None = None) -> list[str]:
        """The tables of images, classes and splits of data sets."""
        return [f"resources/{name}/images.json" for name in sorted({e.data.dataset for e in self.experiments(study)})]

    # A path that somebody asked for

    def _known(self) -> Iterator[str]:
        """Every path of a run, of a comparison and of an audit that can be asked for."""
        for study in self.plan.studies:
            yield from (f"{self.results}/{study}/{table}.csv" for table in outputs.TABLES)
            yield from self.finders(study)
        for e in self.plan.experiments:
            for seed in e.seeds:
                yield from (f"{self.run(e, seed)}/{file}" for file in (*outputs.RUN[e.task], outputs.RECEIPT))
        yield f"{self.results}/report.html"
        yield from self.audits()
        yield from self.downloads()
        yield from self.pixels_of_all()
        yield from self.samples(None, *outputs.SAMPLES, *outputs.JUDGEMENT)
        yield from self.attention(None, *outputs.ATTENTION, pictures=True)
        yield from self.attribution(None, *outputs.ATTRIBUTION, pictures=True)

    def unknown_target(self, target: str, named: Iterable[str]) -> str:
        """What to say of a target that nothing makes: the nearest right ones.

        Args:
            target: as it was asked for.
            named: the targets that have names.
        """
        is_path = "/" in target
        close = _nearest(target, set(self._known() if is_path else named))
        what = "nothing makes this file" if is_path else "there is no target of this name"
        if not close:
            return f"{target}: {what}; snakemake --list-target-rules names what can be asked for"
        return f"{target}: {what}, did you mean {' or '.join(close)}?"

    def is_run(self, run: str) -> bool:
        """Whether there is an experiment with the key `run`, `study/experiment/arm`."""
        return any(e.key == run for e in self.plan.experiments)


def weights(name: str) -> str:
    """The file of published weights."""
    return f"resources/weights/{name}.safetensors"


def is_cached(e: Experiment) -> bool:
    """Whether a run trains its heads alone, on features."""
    return getattr(e.recipe, "features", None) == "cached"


def takes_finder(e: Experiment) -> bool:
    """Whether a run takes its rate from a finder."""
    return e.recipe.lr == FROM_FINDER


def _nearest(target: str, known: set[str]) -> list[str]:
    """The paths, or names, that are most like `target`, most often one: those of the same seed and file first."""
    ending = "/".join(target.split("/")[-2:])
    same_file = {path for path in known if path.endswith(f"/{ending}")}
    close = difflib.get_close_matches(target, same_file or known, n=NEAREST, cutoff=0.6)
    likeness = {path: difflib.SequenceMatcher(None, path, target).ratio() for path in close}
    return sorted(path for path in close if likeness[path] > max(likeness.values()) - TIE)


def _of_seeds(templates: Iterable[str], seeds: Sequence[int]) -> list[str]:
    """The paths of all seeds, each once."""
    filled = (template.replace("{seed}", str(seed)) for seed in seeds for template in templates)
    return list(dict.fromkeys(filled))


def _named(option: str, value: Any) -> list[str]:
    return [option, str(value)] if value else []
