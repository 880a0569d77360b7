"""What is known of a trained network: from its receipt, and from what lies where the receipt says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florilegium.config.base import read_yaml
from florilegium.config.datasets import split_of
from florilegium.config.metrics import CALIBRATED_ECE, ECE, SCORING, TEMPERATURE, TaskName
from florilegium.core.files import digest, read_json
from florilegium.core.lineage import Ledger
from florilegium.core.outputs import SAME
from florilegium.core.tables import read_table
from florilegium.evaluation.coco import read_matches
from florilegium.report.average_precision import error_covariance, resampled
from florilegium.report.statistics import resampled_interval, wilson

RUN_PARTS = 6  # results/<preset>/<study>/<experiment>/<arm>/seed<seed>


@dataclass(frozen=True)
class Score:
    """The main score of a run on its test images, in [0, 1], with its 95 % interval over these images."""

    name: str
    value: float
    interval: tuple[float, float] | None
    """None where its answers are gone."""
    n_test: int
    calibration: tuple[float, float, float] | None
    """Of a classifier: the temperature that was fitted on validation, and the expected calibration errors on the test
    images without it and at it."""
    others: tuple[float, ...]
    """The same of the arm's other seeds, as far as they are there."""


@dataclass(frozen=True)
class LeftOut:
    """Images that an audit took out of what a network was trained on."""

    dataset: str
    """Whose training images they are taken from."""
    audit: str
    """The two data sets that were compared, as `a__b`."""
    count: int | None
    """None where the list is gone, or another now."""


@dataclass(frozen=True)
class Facts:
    """Everything that a card says of a network."""

    name: tuple[str, ...]
    """Preset, study, experiment, arm and seed; the folder's name where the receipt does not say these."""
    task: TaskName
    receipt: Mapping[str, Any]
    score: Score | None
    """None where the metrics are not beside the checkpoint, or are not those of the receipt."""
    images: Mapping[str, int]
    """The images of each split of the data set, before any was left out; empty where that is not known."""
    left_out: tuple[LeftOut, ...]
    first: tuple[str, ...]
    """What it started from, the nearest first, in words."""
    rendered: bool
    """True where the project has drawn the pictures itself."""
    terms: Mapping[str, str]
    """The terms of the data set and of first weights, by their titles."""

    @property
    def folder(self) -> str:
        """A name for a folder: study, experiment, arm and seed."""
        return "-".join(self.name[1:] or self.name)


def facts_of(checkpoint: Path, receipt: Mapping[str, Any], task: TaskName) -> Facts:
    """Gather what is known of the network in `checkpoint`, whose receipt was compared with it."""
    own = next(name for name in receipt["outputs"] if name.rpartition("/")[2] == checkpoint.name)
    here = checkpoint.absolute()
    is_home = here.as_posix().endswith(f"/{own}") and "/" in own
    root = here.parents[own.count("/")] if is_home else None
    ledger = Ledger(root) if root else None
    parts = own.split("/")[1:-1]
    generations = [receipt, *_before(receipt, ledger)]
    return Facts(
        name=tuple(parts) if len(parts) == RUN_PARTS - 1 else (checkpoint.absolute().parent.name,),
        task=task,
        receipt=receipt,
        score=_score(checkpoint, receipt, task),
        images=_images(receipt, ledger),
        left_out=tuple(left for facts in generations for left in _left_out(facts, ledger)),
        first=tuple(_started_from(facts) for facts in generations if facts["spec"].get("init")),
        rendered=_is_rendered(receipt, ledger),
        terms=_terms(generations, root),
    )


def _before(receipt: Mapping[str, Any], ledger: Ledger | None) -> Iterator[Mapping[str, Any]]:
    """The receipts of the runs that it started from, the nearest first."""
    for name in receipt["inputs"] if ledger else ():
        maker = ledger.maker(name) if ledger and name.endswith(".safetensors") else None
        if maker and maker.facts["stage"] == "train":
            yield maker.facts
            yield from _before(maker.facts, ledger)


def _started_from(receipt: Mapping[str, Any]) -> str:
    init = receipt["spec"]["init"]
    if init.get("weights"):
        return f"the published weights {init['weights']}"
    if init.get("experiment"):
        return f"the experiment {init['experiment']}, arm {init.get('arm')}, of the same seed"
    return f"the file {Path(init['file']).name}"


def _score(checkpoint: Path, receipt: Mapping[str, Any], task: TaskName) -> Score | None:
    metrics = _beside(checkpoint, "metrics.json", receipt)
    main = SCORING[task].main
    if metrics is None or (value := (found := read_json(metrics)).get(main)) is None:
        return None
    n = found["n_test"]
    interval = wilson(round(value * n), n) if task == "classification" else _resampled(checkpoint, receipt, value, n)
    arm = checkpoint.absolute().parent.parent
    others = [read_json(path) for path in sorted(arm.glob("seed*/metrics.json")) if path.parent != metrics.parent]
    known = [found.get(name) for name in (TEMPERATURE, ECE, CALIBRATED_ECE)]
    return Score(
        name=main,
        value=value,
        interval=interval,
        n_test=n,
        calibration=None if None in known else (known[0], known[1], known[2]),
        others=tuple(other[main] for other in others if other.get(main) is not None),
    )


def _resampled(checkpoint: Path, receipt: Mapping[str, Any], value: float, n: int) -> tuple[float, float] | None:
    """The interval of an average precision over resampled images."""
    path = _beside(checkpoint, "matches.npz", receipt)
    if path is None:
        return None
    draws = resampled([read_matches(path)], ["AP"])[:, :, 0]
    try:
        _, low, high = resampled_interval([value], *error_covariance(draws), n)
    except ValueError:  # hardly any image has an object
        return None
    return low, high


def _beside(checkpoint: Path, name: str, receipt: Mapping[str, Any]) -> Path | None:
    """The file of a run beside its checkpoint, if it is the one that the receipt names."""
    path = checkpoint.absolute().with_name(name)
    sums = {output.rpartition("/")[2]: entry["sha256"] for output, entry in receipt["outputs"].items()}
    return path if path.is_file() and sums.get(name) == digest(path) else None


def _known(receipt: Mapping[str, Any], ledger: Ledger | None, ending: str) -> Iterator[tuple[str, Path | None]]:
    """The inputs of a run whose name has that ending, each with its path if it is as it was then."""
    for name, entry in receipt["inputs"].items():
        if name.endswith(ending):
            there = ledger is not None and ledger.digest(name) == entry["sha256"]
            yield name, ledger.root / name if there and ledger else None


def _images(receipt: Mapping[str, Any], ledger: Ledger | None) -> dict[str, int]:
    for _, path in _known(receipt, ledger, "/images.json"):
        if path:
            summary = read_json(path)
            return {split: summary[f"n_{split}"] for split in ("train", "val", "test")}
    for _, path in _known(receipt, ledger, "/annotations.json"):
        if path:
            return {split: len(part["images"]) for split, part in read_json(path)["splits"].items()}
    return {}


def _left_out(receipt: Mapping[str, Any], ledger: Ledger | None) -> Iterator[LeftOut]:
    use = receipt["spec"]["data"]
    for name, path in _known(receipt, ledger, "/dropped.csv"):
        table = None if path is None else read_table(path)
        if table is not None and use.get("clean_by") == "hash":
            table = table[table["verdict"] == SAME]
        count = None if table is None else table["image"].nunique()
        yield LeftOut(use["dataset"], name.split("/")[-2], count)


def _is_rendered(receipt: Mapping[str, Any], ledger: Ledger | None) -> bool:
    makers = (ledger.maker(name) for name in receipt["inputs"]) if ledger else ()
    specs = (maker.facts["spec"] for maker in makers if maker)
    return any(isinstance(spec, dict) and (spec.get("dataset") or {}).get("rendered") for spec in specs)


def _terms(generations: Sequence[Mapping[str, Any]], root: Path | None) -> dict[str, str]:
    """As the project's own files say them; what a person has brought has none there."""
    found: dict[str, str] = {}
    for file, names in (
        ("workflow/datasets.yaml", [split_of(facts["spec"]["data"]["dataset"])[0] for facts in generations]),
        ("workflow/weights.yaml", [(facts["spec"].get("init") or {}).get("weights") for facts in generations]),
    ):
        if root is not None and (root / file).is_file():
            entries = read_yaml(root / file, file)
            for name in filter(None, names):
                if (entry := entries.get(name, {})).get("terms"):
                    found[entry.get("title", name)] = entry["terms"]
    return found
