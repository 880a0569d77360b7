"""Specs of the stages beside trainings, as JSON values.

A spec holds the values that its stage uses and nothing else, since a change of it runs the stage again. All are
recorded in receipts.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from florilegium.config.experiment import Experiment
from florilegium.config.recipes import FROM_FINDER
from florilegium.core.local_files import LocalFiles, Mark, below, content_mark, listed, mark, record_of, refresh
from florilegium.plan.paths import own_weights
from florilegium.plan.plan import Plan, is_cached

CREDITS = {"title", "citation", "terms", "homepage"}
DESCRIPTIVE = dict.fromkeys((*CREDITS, "images", "sides"), True)  # keys only for readers and for estimates
ORIGIN = {"files": {"__all__": {"urls", "md5", "sha256"}}}  # keys without effect once the files are verified
# Keys of a recipe that determine the number and size of its steps.
COUNTED = {
    *("epochs", "epoch_steps", "batch_size", "accumulate", "drop_last", "precision", "select"),
    *("image_size", "freeze", "freeze_blocks", "timesteps"),
}

Spec = dict[str, Any]


@dataclass(frozen=True)
class Specs:
    """Specs of the stages of one plan; `catalogue` holds the published weights by name."""

    plan: Plan
    catalogue: Mapping[str, Any]
    _marks: dict[tuple[str, str], Mark] = field(default_factory=dict, init=False, repr=False, compare=False)

    # Data sets and weights

    def dataset(self, source: str, **without: Any) -> Spec:
        """A data set without the keys that are only for readers."""
        return self.plan.datasets[source].model_dump(mode="json", exclude_none=True, exclude=DESCRIPTIVE | without)

    def download(self, source: str) -> Spec:
        override = self.plan.settings.datasets.get(source)
        return {"dataset": self.dataset(source), "override": override and override.model_dump(mode="json")}

    def local_files(self, kind: str, name: str) -> LocalFiles | None:
        """The files of a person's own that a data set (`datasets`) or weights (`weights`) are made of, if any.

        Raises UserError for a folder that cannot be walked.
        """
        given = self.plan.datasets[name].folder if kind == "datasets" else None
        if given is not None:
            return below(Path(given).expanduser())
        override = getattr(self.plan.settings, kind).get(name)
        return listed(name, override.paths) if override and override.paths else None

    def mark(self, kind: str, name: str) -> Mark:
        """The mark of `local_files`, which decides that they are read again; made once for each plan."""
        if (kind, name) not in self._marks:
            files = self.local_files(kind, name)
            self._marks[kind, name] = mark(files, record_of(kind, name)) if files else Mark("")
        return self._marks[kind, name]

    def first_weights(self, e: Experiment) -> Mark:
        """The mark of a file of one's own that an experiment starts from, if it does."""
        file = own_weights(e)
        if file is None:
            return Mark("")
        key = ("init", file)
        if key not in self._marks:
            self._marks[key] = content_mark(Path(file))
        return self._marks[key]

    def refresh(self) -> None:
        """Remember the times of local files that were only touched."""
        for (kind, name), found in self._marks.items():
            refresh(record_of(kind, name), found.touched)

    def weights(self, name: str) -> Spec:
        """A file of published weights, and its sources in `config.yaml`."""
        override = self.plan.settings.weights.get(name)
        return {
            "weights": self.catalogue[name].model_dump(mode="json", exclude=set(DESCRIPTIVE)),
            "override": override and override.model_dump(mode="json"),
        }

    def table(self, dataset: str) -> Spec:
        source, split = self.plan.source(dataset)
        return {"dataset": self.dataset(source, **ORIGIN), "split": split}

    def annotations(self, source: str) -> Spec:
        return {"dataset": self.dataset(source, **ORIGIN), "bad_boxes": self.plan.settings.bad_boxes}

    def reading(self, source: str) -> Spec:
        """The settings for decoding the images of a data set."""
        return {"layout": self.plan.datasets[source].layout} | self._decoding()

    def hashing(self, source: str) -> Spec:
        """The settings for what an audit keeps of the images of a data set."""
        return self.reading(source) | {"crops": self.plan.settings.audit.crops}

    def boxed(self, packing: str) -> Spec:
        """The settings for packing images with boxes, from `DetectionData.packing`."""
        short_side, long_side, padding = packing.split("-")
        sides = {"short_side": int(short_side), "long_side": int(long_side), "padding": padding}
        return sides | self._decoding()

    def _decoding(self) -> Spec:
        return {"corrupt": self.plan.settings.corrupt_images, "pictures": self._pictures()}

    def _pictures(self) -> Spec:
        return self.plan.settings.pictures.model_dump(mode="json")

    def audit(self) -> Spec:
        return {"audit": self.plan.settings.audit.model_dump(mode="json"), "pictures": self._pictures()}

    # Products of a trained network. Network and images are in the run's receipt, which is an input of these stages.

    def attention(self, e: Experiment) -> Spec:
        assert e.attention is not None
        return {"attention": e.attention.model_dump(mode="json"), **self.plan.origin(e)}

    def attribution(self, e: Experiment) -> Spec:
        assert e.attribution is not None
        return {"attribution": e.attribution.model_dump(mode="json"), **self.plan.origin(e)}

    def sampling(self, e: Experiment, name: str) -> Spec:
        """The settings of one set of generated images."""
        assert e.samples is not None
        return {"sampling": e.samples.sets[name].model_dump(mode="json"), "shown": e.samples.shown}

    # All studies together

    def page(self, descriptions: Mapping[str, Spec]) -> Spec:
        """The report over all studies, from their descriptions."""
        used = sorted({e.data.dataset for e in self.plan.experiments})
        sets = {name: self.plan.datasets[self.plan.source(name)[0]] for name in used}
        return {
            "preset": self.plan.settings.preset,
            "title": self.plan.preset.title,
            "note": self.plan.preset.note,
            "studies": dict(descriptions),
            "audits": self.plan.audits(),
            "datasets": {name: dataset.model_dump(include=CREDITS) for name, dataset in sets.items()},
            "weights": {name: self._credits(name) for name in self.plan.weights() if name in self.catalogue},
        }

    def _credits(self, name: str) -> Spec:
        """Those of pretrained weights, called as departures and titles call them."""
        weights = self.catalogue[name].model_dump(include=CREDITS)
        return {**weights, "title": self.plan.paper.weights.get(name, name)}

    def hours(self) -> Spec:
        """The basis of the estimate of GPU hours."""
        return {
            "preset": self.plan.settings.preset,
            "card": self.plan.settings.estimates.model_dump(mode="json"),
            "experiments": estimated(self.plan),
            "uncounted": uncounted(self.plan),
        }


def estimated(plan: Plan) -> list[Spec]:
    """The experiments on data sets with a known number of images."""
    return [_counted(plan, e) for e in plan.experiments if _images(plan, e) is not None]


def uncounted(plan: Plan) -> dict[str, int]:
    """The number of all other arms, by data set."""
    return dict(Counter(plan.source(e.data.dataset)[0] for e in plan.experiments if _images(plan, e) is None))


def _images(plan: Plan, e: Experiment) -> dict[str, int] | None:
    images = plan.datasets[plan.source(e.data.dataset)[0]].images
    return None if images is None else {str(split): count for split, count in images.items()}


def _counted(plan: Plan, e: Experiment) -> Spec:
    source = plan.datasets[plan.source(e.data.dataset)[0]]
    judge = e.samples.judge if e.samples else None
    classifier = judge and plan.find(e.study, judge.experiment, judge.arm)
    return {
        "experiment": e.key,
        "task": e.task,
        "source": plan.source(e.data.dataset)[0],
        "runs": len(e.seeds),
        "images": _images(plan, e),
        "sides": source.sides,
        "classes": len(source.classes),
        "model": e.model.model_dump(mode="json"),
        "recipe": e.recipe.model_dump(mode="json", include=COUNTED),
        "data": e.data.model_dump(mode="json", exclude={"clean", "clean_by"}),
        "cached": is_cached(e),
        "features": 1 if plan.features_seed(e) is not None else len(e.seeds),
        "finder": e.recipe.finder_steps if e.recipe.lr == FROM_FINDER else None,
        "attention": e.attention and e.attention.model_dump(mode="json"),
        "attribution": e.attribution and e.attribution.model_dump(mode="json"),
        "sets": {name: s.model_dump(mode="json") for name, s in e.samples.sets.items()} if e.samples else {},
        "judge": classifier
        and {
            "model": classifier.model.model_dump(mode="json"),
            "recipe": classifier.recipe.model_dump(mode="json", include={"epochs", "image_size"}),
        },
    }
