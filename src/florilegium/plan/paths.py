"""Paths of everything in a plan, relative to the project's folder: inputs of the rules, and targets.

In a path that depends on the run's seed, `{seed}` stays open.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from florilegium.config.experiment import Experiment
from florilegium.config.recipes import FROM_FINDER
from florilegium.core import outputs
from florilegium.plan.plan import Phase, Plan, is_cached

NEAREST = 3  # maximum number of right paths in the message for a wrong one
TIE = 0.01  # difference of two ratios of `difflib` that counts as none
Files = dict[str, Any]
"""Inputs of a rule by name: a path, or a list of paths."""


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
        """A file of the source of a data set, for any of its official splits."""
        return f"resources/{self.plan.source(dataset)[0]}/{file}"

    def hashes(self, dataset: str) -> list[str]:
        """What audits keep of the images of a data set."""
        return [self.of_source(dataset, f"hashes/{file}") for file in outputs.HASHES]

    def audit(self, a: str, b: str) -> str:
        """The folder of the audit of a pair of data sets."""
        return f"{self.results}/audit/{a}__{b}"

    def audits(self) -> list[str]:
        """The files of all audits that people look at."""
        return [f"{self.audit(a, b)}/{file}" for a, b in self.plan.audits() for file in outputs.AUDIT]

    def summaries(self, study: str) -> list[str]:
        """The summaries of the audits between data sets of a study, from those that it learns from to its own."""
        used = {e.data.dataset for e in self.plan.of(study)}
        return [f"{self.audit(a, b)}/summary.json" for a, b in self.plan.audits() if a != b and {a, b} <= used]

    def audit_inputs(self, a: str, b: str) -> Files:
        """The inputs of the audit of a pair of data sets."""
        inputs: Files = {}
        for side, name in (("a", a), ("b", b)):
            inputs[f"files_{side}"] = self.of_source(name, "files.json")
            inputs[f"hashes_{side}"] = self.hashes(name)
            inputs[f"images_{side}"] = f"resources/{name}/images.csv"
        return inputs

    def packed(self, e: Experiment, ending: str = "npy") -> str:
        """The packed images of an experiment; with `ending` csv, their names."""
        name = f"scenes{e.data.packing}" if e.task == "detection" else f"pixels{e.data.storage_size}"
        return self.of_source(e.data.dataset, f"{name}.{ending}")

    def downloads(self) -> list[str]:
        """All data sets with their tables, and initial weights."""
        sets = list(dict.fromkeys(name for pair in self.plan.audits() for name in pair))
        files = [self.of_source(name, "files.json") for name in sets]
        tables = [f"resources/{name}/images.csv" for name in sets]
        return [*dict.fromkeys((*files, *tables)), *map(weights, self.plan.weights())]

    # Inputs of a training, and of other stages that read its images

    def image_inputs(self, e: Experiment) -> Files:
        """The images of an experiment, and the audits that exclude some of them."""
        data, inputs = e.data, self.tested_inputs(e)
        if e.task == "detection":
            inputs["annotations"] = self.of_source(data.dataset, "annotations.json")
        else:
            inputs["images"] = f"resources/{data.dataset}/images.csv"
            inputs["classes"] = f"resources/{data.dataset}/images.json"
        inputs["dropped"] = [f"{self.audit(data.dataset, target)}/dropped.csv" for target in data.clean]
        if getattr(data, "holdout", None) is not None:
            inputs["pairs"] = f"{self.audit(data.dataset, data.dataset)}/pairs.csv"
        return inputs

    def image_options(self, e: Experiment) -> list[str]:
        """`image_inputs` as arguments of a stage."""
        files = self.image_inputs(e)
        options = [
            text
            for name in ("pixels", "images", "annotations", "pairs")
            for text in _option(f"--{name}", files.get(name))
        ]
        return [*options, "--dropped", *files["dropped"]] if files["dropped"] else options

    def tested_inputs(self, e: Experiment) -> Files:
        """The packed images that a run was tested on, and their names."""
        return {"pixels": self.packed(e), "packed": self.packed(e, "csv")}

    def first_weights(self, e: Experiment) -> str | None:
        """The weights that an experiment starts from, if any."""
        if e.init is None:
            return None
        if e.init.experiment:
            start = self.plan.find(e.study, e.init.experiment, e.init.arm)
            return f"{self.run(start)}/checkpoint.safetensors"
        return e.init.file or weights(str(e.init.weights))

    def generated_images(self, e: Experiment) -> str | None:
        """The generated images that an experiment learns from, if any."""
        generated = getattr(e.data, "generated", None)
        if generated is None or not generated.share:
            return None
        generator = self.plan.find(e.study, generated.experiment, generated.arm)
        return f"{self.run(generator)}/samples/{generated.samples}/samples.npy"

    def features(self, e: Experiment) -> str:
        """The folder of an experiment's cached features."""
        seed = self.plan.features_seed(e)
        return f"{self.run(e, '{seed}' if seed is None else seed)}/features"

    def start_inputs(self, e: Experiment, seeds: Sequence[int]) -> Files:
        """The images and initial weights of an experiment: inputs of the stages before a training.

        A file of one's own is none of Snakemake's inputs, which may not have any name; see `core.local_files`.
        """
        start = None if own_weights(e) else self.first_weights(e)
        return self.image_inputs(e) | ({"init": _of_seeds([start], seeds)} if start else {})

    def start_options(self, e: Experiment) -> list[str]:
        """`start_inputs` as arguments of a stage, with its output folder."""
        return [*self.image_options(e), *_option("--init", self.first_weights(e)), *self._out(e)]

    def training_inputs(self, e: Experiment, seeds: Sequence[int]) -> Files:
        """The inputs of one training: images, or features in their place, and those that only some trainings have."""
        inputs = self.start_inputs(e, seeds)
        if is_cached(e):
            features = _of_seeds([f"{self.features(e)}/{file}" for file in outputs.FEATURES], seeds)
            inputs = {"features": features} | ({"init": inputs["init"]} if "init" in inputs else {})
        elif generated := self.generated_images(e):
            inputs["generated"] = _of_seeds([generated, f"{generated.removesuffix('.npy')}.csv"], seeds)
        if takes_finder(e):
            inputs["finder"] = _of_seeds([f"{self.run(e)}/finder/finder.json"], seeds)
        return inputs

    def training_options(self, e: Experiment) -> list[str]:
        """`training_inputs` as arguments of a stage, with its folders; in one parameter, since Snakemake takes time for
        each parameter of each job."""
        preset = self.plan.settings.preset
        return [
            *(["--features", self.features(e)] if is_cached(e) else self.image_options(e)),
            *_option("--init", self.first_weights(e)),
            *_option("--generated", self.generated_images(e)),
            *_option("--finder", f"{self.run(e)}/finder/finder.json" if takes_finder(e) else None),
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

    # Targets: everything of one kind, of one study or of all

    def experiments(self, study: str | None = None) -> Iterable[Experiment]:
        return self.plan.experiments if study is None else self.plan.of(study)

    def runs(self, study: str, *files: str, answers: bool = False) -> list[str]:
        """Files of every run of a study; with `answers`, also the predictions, whose files depend on the task."""
        return [
            f"{self.run(e, seed)}/{file}"
            for e in self.experiments(study)
            for seed in e.seeds
            for file in (*files, *(outputs.ANSWERS[e.task] if answers else ()))
        ]

    def trained(self, phase: Phase) -> list[str]:
        """The metrics of all runs of a phase."""
        chosen = (e for e in self.experiments() if self.plan.phase(e) == phase)
        return [f"{self.run(e, seed)}/metrics.json" for e in chosen for seed in e.seeds]

    def attention(self, study: str | None = None, *files: str, pictures: bool = False) -> list[str]:
        """Files about the attention of networks, for the first seed of each arm."""
        return [
            f"{self.run(e, e.seeds[0])}/attention/{file}"
            for e in self.experiments(study)
            if e.attention
            for file in (*files, *(outputs.ATTENTION_PICTURES[e.attention.of] if pictures else ()))
        ]

    def attribution(self, study: str | None = None, *files: str, pictures: bool = False) -> list[str]:
        """Explanations of the predictions of classifiers, for the first seed of each arm."""
        return [
            f"{self.run(e, e.seeds[0])}/attribution/{file}"
            for e in self.experiments(study)
            if e.attribution
            for file in (*files, *(outputs.attribution_images(e.attribution.figures) if pictures else ()))
        ]

    def samples(self, study: str | None = None, *files: str) -> list[str]:
        """Files of generated images; those of judgements only where there is a judge."""
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
        """Pictures of the learning-rate finders of a study."""
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

    # Targets on the command line

    def _all(self) -> Iterator[str]:
        """Every path of a run, of a comparison and of an audit that can be a target."""
        for study in self.plan.studies:
            yield from (f"{self.results}/{study}/{table}.csv" for table in outputs.TABLES)
            yield from self.finders(study)
        for e in self.plan.experiments:
            for seed in e.seeds:
                yield from (f"{self.run(e, seed)}/{file}" for file in (*outputs.RUN[e.task], outputs.RECEIPT))
        yield f"{self.results}/claims.csv"
        yield f"{self.results}/report.html"
        yield from self.audits()
        yield from self.downloads()
        yield from self.pixels_of_all()
        yield from self.samples(None, *outputs.SAMPLES, *outputs.JUDGEMENT)
        yield from self.attention(None, *outputs.ATTENTION, pictures=True)
        yield from self.attribution(None, *outputs.ATTRIBUTION, pictures=True)

    def unknown_target(self, target: str, named: Iterable[str]) -> str:
        """The error message for a target that no rule makes, with the nearest right ones.

        Args:
            target: as given on the command line.
            named: the targets that have names.
        """
        is_path = "/" in target
        close = _nearest(target, set(self._all() if is_path else named))
        problem = "nothing makes this file" if is_path else "there is no target of this name"
        if not close:
            return f"{target}: {problem}; snakemake --list-target-rules lists all targets"
        return f"{target}: {problem}, did you mean {' or '.join(close)}?"

    def is_run(self, run: str) -> bool:
        """True if there is an experiment with the key `run`, `study/experiment/arm`."""
        return run in self.plan.by_key


def own_weights(e: Experiment) -> str | None:
    """The file of a person's own that an experiment starts from, if it does; none of those that the workflow makes."""
    file = e.init.file if e.init is not None else None
    return None if file is None or file.startswith(("results/", "resources/")) else file


def weights(name: str) -> str:
    """The file of published weights."""
    return f"resources/weights/{name}.safetensors"


def takes_finder(e: Experiment) -> bool:
    """True for an experiment that takes its learning rate from a finder."""
    return e.recipe.lr == FROM_FINDER


def _nearest(target: str, known: set[str]) -> list[str]:
    """The paths, or names, that are most similar to `target`, most often one; first those of the same seed and file."""
    ending = "/".join(target.split("/")[-2:])
    same_file = {path for path in known if path.endswith(f"/{ending}")}
    close = difflib.get_close_matches(target, same_file or known, n=NEAREST, cutoff=0.6)
    similarity = {path: difflib.SequenceMatcher(None, path, target).ratio() for path in close}
    return sorted(path for path in close if similarity[path] > max(similarity.values()) - TIE)


def _of_seeds(templates: Iterable[str], seeds: Sequence[int]) -> list[str]:
    """The paths of all seeds, each once."""
    return list(dict.fromkeys(path.replace("{seed}", str(seed)) for seed in seeds for path in templates))


def _option(name: str, value: Any) -> list[str]:
    return [name, str(value)] if value else []
