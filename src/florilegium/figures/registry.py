"""Which figures a study has: known from its description, before anything is measured.

Snakemake declares them from here, so nothing heavy is imported.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from florilegium.core.figures import SPLIT, ChosenFigure
from florilegium.core.metrics import WORDS
from florilegium.report.study import Entry, Key, Study

GROUPS = {
    "target": ("scratch", "transfer"),
    "pretraining": ("pretrain",),
    "rates": ("rate",),
}
QUESTIONS = {
    "published": "How do our figures stand beside the published ones?",
    "unpublished": "How do the arms stand beside one another?",
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
ANSWERS = ("confusion", "samples")
DETECTOR = ("precision_recall", "errors", "detections", "misses")
ATTENTION = ("attention_maps", "attention_depth", "attention_rollout")
ATTRIBUTION = ("attribution_scores", "attribution_maps")
GENERATED = ("generated", "recognised")
NODES = ("attention_nodes", "attention_heads", "attention_change")
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


@dataclass(frozen=True)
class LeftOut:
    """A figure that would compare nothing, and what it lacks."""

    question: str
    lacks: str


def planned(study: Study) -> list[Planned]:
    """The figures of a study, in reading order; a study that a preset leaves empty has none."""
    return [figure for figure, lacks in _candidates(study) if not lacks]


def left_out(study: Study) -> list[LeftOut]:
    """The figures that a study would have, were there anything to compare, in reading order."""
    return [LeftOut(figure.question, lacks) for figure, lacks in _candidates(study) if lacks]


def _candidates(study: Study) -> Iterator[tuple[Planned, str]]:
    """Each figure with what it lacks to be one; nothing in most."""
    if not study.entries:
        return
    beside = "published" if _is_published(study) else "unpublished"
    lone = "" if _is_published(study) or _n_arms(study.entries) > 1 else "one arm, and no published figure"
    for figure in _paged("published", "published", QUESTIONS[beside], study.entries, ROWS, _rows):
        yield figure, lone
    parts = {"leak": study.leaks(), "convergence": study.gains(), "rates": study.rates()}
    for kind, part in parts.items():
        if part:
            yield Planned(kind, kind, QUESTIONS[kind]), ""
    for chosen in study.figures:
        figure = Planned(chosen.name, _kind(chosen), chosen.title, chosen.arms, chosen)
        yield figure, lacking(chosen, members(study, figure))
    for group in GROUPS:
        for dataset, entries in _by_dataset(study, group).items():
            name = f"curves_{group}"
            lacks = "one arm" if _n_arms(entries) == 1 < _n_arms(study.entries) else ""
            for figure in _paged(
                f"{name}_{dataset}", "curves", QUESTIONS[name], entries, LINES, about=dataset
            ):
                yield figure, lacks
    yield from ((Planned(kind, kind, QUESTIONS[kind]), lacks) for kind, lacks in _looks(study))


def _looks(study: Study) -> Iterator[tuple[str, str]]:
    """The kinds of figures that look into networks and at their answers, each with what it lacks."""
    lacks = {}
    tokens = attentive(study, "tokens")
    depths = {block for entry in tokens if entry.attention for block in entry.attention.blocks}
    methods = [m for entry in explained(study) if entry.attribution for m in entry.attribution.methods]
    sets = [name for entry in study.entries if entry.samples for name in entry.samples.sets]
    if len(depths) == 1:
        lacks["attention_depth"] = "one block"
    if len(methods) == 1:
        lacks["attribution_scores"] = "one method of one arm"
    if len(sets) == 1:
        lacks["recognised"] = "one set of images"
    kinds = {
        ATTENTION: tokens,
        NODES: attentive(study, "nodes"),
        ATTRIBUTION: methods,
        GENERATED: sets,
        ANSWERS: study.classifier(),
        DETECTOR: study.detector(),
    }
    yield from ((kind, lacks.get(kind, "")) for group, there in kinds.items() if there for kind in group)


def lacking(chosen: ChosenFigure, arms: Sequence[Entry]) -> str:
    """What a figure that a study asks for lacks to compare anything: arms, or values of what it is drawn over.

    An experiment on several official splits is one arm here: which split it was is no question of any study's.
    """
    n_arms = _n_arms(arms)
    if not n_arms:
        return "none of its arms is in this preset"
    if chosen.kind == "seeds":
        return _lacking_seeds(chosen, arms)
    if n_arms == 1 and not _has_losses(chosen, arms):
        return "one arm"
    values = {path: {str(_value(entry, path)) for entry in arms} for path in _paths(chosen)}
    if chosen.kind == "against" and len(values.get(chosen.x or "", ())) == 1:
        return f"one value of {chosen.x}"
    if chosen.kind == "heatmap" and all(len(found) == 1 for found in values.values()):
        return f"one value of {chosen.x} and of {chosen.by}"
    return ""


def _lacking_seeds(chosen: ChosenFigure, arms: Sequence[Entry]) -> str:
    seeds = {seed for entry in arms for seed in entry.seeds}
    if not seeds & set(chosen.marked):
        return f"no run of seed {', '.join(map(str, chosen.marked))}"
    return "" if seeds - set(chosen.marked) else "no other seed"


def _has_losses(chosen: ChosenFigure, arms: Sequence[Entry]) -> bool:
    """Whether published losses stand beside an arm's own."""
    drawn = {"/".join(entry.key) for entry in arms}
    return any(losses.experiment in drawn for losses in chosen.published)


def _paths(chosen: ChosenFigure) -> list[str]:
    """The values of arms that a figure is drawn over; what is measured is not known before."""
    return [path for path in (chosen.x, chosen.by) if path and path not in WORDS]


def _value(entry: Entry, path: str) -> Any:
    """What an arm is called, whatever split it is run on, or a value that it is specified by."""
    named = {"experiment": SPLIT.sub("", entry.experiment), "arm": entry.arm}
    return named.get(path, entry.values.get(path))


def _n_arms(entries: Sequence[Entry]) -> int:
    return len({(SPLIT.sub("", entry.experiment), entry.arm) for entry in entries})


def _is_published(study: Study) -> bool:
    """Whether any score was published that ours can stand beside."""
    return any(p.metric in entry.scoring.scores for entry in study.entries for p in entry.published)


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
