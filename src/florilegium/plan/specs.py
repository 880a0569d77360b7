"""What each stage is asked for, as JSON values: the specs of all rules but those that an experiment has of its own.

A spec holds what its stage uses and nothing else, since a change of it runs the stage again. All are recorded in
receipts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florilegium.config.data import DatasetOverride
from florilegium.config.experiment import Experiment
from florilegium.plan.plan import Plan, estimated, uncounted

READERS_ONLY = dict.fromkeys(("title", "citation", "terms", "homepage", "images", "sides"), True)
"""What a data set, or published weights, is described by to readers and to estimates alone."""
ORIGIN = {"files": {"__all__": {"urls", "md5", "sha256"}}}
"""What no longer counts once the files are verified."""
CREDITS = {"title", "citation", "terms", "homepage"}

Spec = dict[str, Any]


@dataclass(frozen=True)
class Specs:
    """Specs of the stages of one plan; `catalogue` is that of published weights, by name."""

    plan: Plan
    catalogue: Mapping[str, Any]

    def dataset(self, source: str, **without: Any) -> Spec:
        """A data set without what is only for readers."""
        return self.plan.datasets[source].model_dump(mode="json", exclude_none=True, exclude=READERS_ONLY | without)

    def download(self, source: str) -> Spec:
        override = self.plan.override(source)
        return {"dataset": self.dataset(source), "override": override.model_dump(mode="json") if override else None}

    def local_files(self, source: str) -> list[str]:
        """Files on this machine that a data set is made of, so that a change in one is seen."""
        folder = self.plan.datasets[source].folder
        if folder is not None:
            return sorted(str(path) for path in Path(folder).expanduser().rglob("*") if path.is_file())
        return self.own_files(self.plan.override(source))

    def own_files(self, override: DatasetOverride | None) -> list[str]:
        """The paths that an entry of config.yaml gives in place of published files."""
        files = override.files.values() if override else ()
        return [str(Path(file.path).expanduser()) for file in files if file != "absent"]

    def weights(self, name: str) -> Spec:
        """A file of published weights, and where a person has it."""
        override = self.plan.settings.weights.get(name)
        return {
            "weights": self.catalogue[name].model_dump(mode="json", exclude=set(READERS_ONLY)),
            "override": override and override.model_dump(mode="json"),
        }

    def table(self, dataset: str) -> Spec:
        source, split = self.plan.source(dataset)
        return {"dataset": self.dataset(source, **ORIGIN), "split": split}

    def annotations(self, source: str) -> Spec:
        return {"dataset": self.dataset(source, **ORIGIN), "bad_boxes": self.plan.settings.bad_boxes}

    def reading(self, source: str) -> Spec:
        """What decoding the images of a data set depends on."""
        return {"layout": self.plan.datasets[source].layout, "corrupt": self.plan.settings.corrupt_images}

    def boxed(self, packing: str) -> Spec:
        """How images with boxes are packed; `packing` as `DetectionData.packing` writes it."""
        short_side, long_side, padding = packing.split("-")
        return {
            "short_side": int(short_side),
            "long_side": int(long_side),
            "padding": padding,
            "corrupt": self.plan.settings.corrupt_images,
        }

    def audit(self) -> Spec:
        """When two images are called the same picture."""
        return {"audit": self.plan.settings.audit.model_dump(mode="json")}

    # Network and images of a run stand in its receipt, which is an input of what follows.

    def attention(self, e: Experiment) -> Spec:
        """What is looked at of the attention of a trained network."""
        assert e.attention is not None
        return {"attention": e.attention.model_dump(mode="json"), **self.plan.origin(e)}

    def attribution(self, e: Experiment) -> Spec:
        """Which answers of a trained network are explained, and how."""
        assert e.attribution is not None
        return {"attribution": e.attribution.model_dump(mode="json"), **self.plan.origin(e)}

    def sampling(self, e: Experiment, name: str) -> Spec:
        """How the set `name` of images is made with a trained generator."""
        assert e.samples is not None
        return {"sampling": e.samples.sets[name].model_dump(mode="json"), "shown": e.samples.shown}

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
            "datasets": {name: d.model_dump(include=CREDITS) for name, d in sets.items()},
        }

    def hours(self) -> Spec:
        """What GPU hours are estimated from."""
        return {
            "preset": self.plan.settings.preset,
            "card": self.plan.settings.estimates.model_dump(mode="json"),
            "experiments": estimated(self.plan),
            "uncounted": uncounted(self.plan),
        }
