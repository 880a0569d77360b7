"""Which figures a study has: known from its description, before anything is measured.

Snakemake declares them from here, so nothing heavy is imported.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from florilegium.core.figures import ChosenFigure
from florilegium.core.metrics import WORDS
from florilegium.report.study import Entry, Key, Study

GROUPS = {
    "target": ("scratch", "transfer"),
    "pretraining": ("pretrain",),
    "rates": ("rate",),
}
QUESTIONS = {
    "published": "How do our figures stand beside the published ones?",
    "leak": "How much does a leak flatter the test accuracy?",
    "convergence": "Does transfer converge faster?",
    "rates": "Is the baseline's learning rate the best one to fine-tune with?",
    "curves_target": "How do the arms learn the target data set?",
    "curves_pretraining": "How does the pretraining go?",
    "curves_rates": "How does the fine-tuning go at each learning rate?",
    "attention_maps": "What does each token attend to?",
    "attention_depth": "How sparse and how diagonal is attention, block by block?",
    "attention_rollout": "Where in the image does the answer come from?",
    "attention_nodes": "What does each quarter of an image attend to?",
    "attention_heads": "What does each head of attention look at, over many images?",
    "attention_change": "Does attention depend on who asks, and on the image?",
    "attribution_scores": "Which explanation finds the pixels that the answer depends on?",
    "attribution_maps": "Which pixels does the answer depend on?",
    "generated": "What do the generators make?",
    "recognised": "Are the images what they should be, and what does a better one cost?",
    "confusion": "Which classes are mistaken for which?",
    "samples": "What does it see?",
    "detections": "What does it find?",
    "misses": "Where does it fail most?",
    "precision_recall": "Which classes does it find, and how surely?",
    "errors": "What does it get wrong?",
}
DETECTOR = ("precision_recall", "errors", "detections", "misses")
ATTENTION = ("attention_maps", "attention_depth", "attention_rollout")
NODES = ("attention_nodes", "attention_heads", "attention_change")
ATTRIBUTION = ("attribution_scores", "attribution_maps")
GENERATED = ("generated", "recognised")
CONVERGENCE_ROLES = ("scratch", "transfer")
KINDS = {"curves": "panels"}  # of a study file's figures, where it is drawn by another name
ROWS = 24  # that fit on one figure of published figures
LINES = 7  # arms that one pair of axes can tell apart: the colours of `style.PALETTE`


@dataclass(frozen=True)
class Planned:
    """A figure that is to be drawn.

    Attributes:
        name: its file is `<name>.png`.
        question: what it answers; its title, and its text for those who cannot see it.
        arms: what it shows, where it does not show the whole study.
        chosen: what the study file says of it, if that asks for it.
    """

    name: str
    kind: str
    question: str
    arms: tuple[Key, ...] = ()
    chosen: ChosenFigure | None = None


def planned(study: Study) -> list[Planned]:
    """The figures of a study, in reading order; a study that a preset leaves empty has none."""
    if not study.entries:
        return []
    found = list(_paged("published", "published", QUESTIONS["published"], study.entries, ROWS, _rows))
    parts = {"leak": study.leaks(), "convergence": study.gains(), "rates": study.rates()}
    found += [Planned(kind, kind, QUESTIONS[kind]) for kind, part in parts.items() if part]
    found += [Planned(c.name, _kind(c), c.title, c.arms, c) for c in study.figures]
    for group in GROUPS:
        for dataset, entries in _by_dataset(study, group).items():
            name = f"curves_{group}"
            found += _paged(f"{name}_{dataset}", "curves", QUESTIONS[name], entries, LINES, about=dataset)
    for of, kinds in (("tokens", ATTENTION), ("nodes", NODES)):
        if attentive(study, of):
            found += [Planned(kind, kind, QUESTIONS[kind]) for kind in kinds]
    if explained(study):
        found += [Planned(kind, kind, QUESTIONS[kind]) for kind in ATTRIBUTION]
    if study.makes_images():
        found += [Planned(kind, kind, QUESTIONS[kind]) for kind in GENERATED]
    if study.classifier():
        found += [Planned(kind, kind, QUESTIONS[kind]) for kind in ("confusion", "samples")]
    if study.detector():
        found += [Planned(kind, kind, QUESTIONS[kind]) for kind in DETECTOR]
    return found


def attentive(study: Study, of: str) -> list[Entry]:
    """The arms whose attention is looked at: that of tokens, or that of nodes."""
    return [entry for entry in study.entries if entry.attention and entry.attention.of == of]


def explained(study: Study) -> list[Entry]:
    """The arms whose answers are explained."""
    return [entry for entry in study.entries if entry.attribution]


def members(study: Study, figure: Planned) -> list[Entry]:
    """The arms that a figure shows."""
    found = [study.find(key) for key in figure.arms]
    return [entry for entry in found if entry is not None]


def _kind(chosen: ChosenFigure) -> str:
    return "measured" if chosen.x in WORDS else KINDS.get(chosen.kind, chosen.kind)


def _by_dataset(study: Study, group: str) -> dict[str, list[Entry]]:
    """The arms of a group by their data set; beside other rates stands the baseline's own."""
    entries = [entry for entry in study.entries if entry.role in GROUPS[group]]
    if group == "rates":
        entries = [entry for family in study.rates() for entry in family]
    return {
        dataset: [entry for entry in entries if entry.dataset == dataset]
        for dataset in dict.fromkeys(entry.dataset for entry in entries)
    }


def _rows(entry: Entry) -> int:
    """How many scores of an arm stand beside published ones: its main metric is always among them."""
    return len({entry.scoring.main, *(p.metric for p in entry.published)} & set(entry.scoring.scores))


def _paged(
    name: str,
    kind: str,
    question: str,
    entries: Sequence[Entry],
    limit: int,
    weight: Callable[[Entry], int] = lambda entry: 1,
    about: str = "",
) -> Iterator[Planned]:
    """One figure, or several that share the arms evenly when their weights exceed `limit`."""
    total = sum(map(weight, entries))
    n_pages = max(1, ceil(total / limit))
    pages: list[list[Key]] = [[] for _ in range(n_pages)]
    before = 0
    for entry in entries:
        pages[min(before * n_pages // max(total, 1), n_pages - 1)].append(entry.key)
        before += weight(entry)
    for number, page in enumerate(pages, 1):
        parts = ", ".join(filter(None, (about, f"{number} of {n_pages}" if n_pages > 1 else "")))
        yield Planned(
            name=f"{name}_{number}" if n_pages > 1 else name,
            kind=kind,
            question=f"{question} ({parts})" if parts else question,
            arms=tuple(page),
        )
