"""The registry of figures."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from florilegium.config.figures import PlotChoice
from florilegium.config.metrics import WORDS
from florilegium.core.errors import UserError
from florilegium.report.study import Entry, Key, Study, labels

CONVERGENCE_ROLES = ("scratch", "transfer")
ROWS = 24  # that fit on one figure of published scores
LINES = 7  # arms that one pair of axes can tell apart: the colours of `style.PALETTE`
CURVES = {  # groups of training curves: the roles of their arms, and the question
    "target": (("scratch", "transfer"), "How do the arms learn the target data set?"),
    "pretraining": (("pretrain",), "How does the pretraining go?"),
    "rates": (("rate",), "How does the fine-tuning go at each learning rate?"),
}


@dataclass(frozen=True)
class Plot:
    """A figure of a study.

    Attributes:
        name: its file is `<name>.png`.
        question: what it answers; its title, and its text for those who cannot see it.
        arms: those that it shows, where it does not show the whole study.
        choice: what the study file says of it, if that asks for it.
        lacks: what is missing for it to compare anything; a figure that lacks something is not drawn.
    """

    name: str
    kind: str
    question: str
    arms: tuple[Key, ...] = ()
    choice: PlotChoice | None = None
    lacks: str = ""


def members(study: Study, plot: Plot) -> list[Entry]:
    """The arms that a figure shows."""
    entries = [study.find(key) for key in plot.arms]
    return [entry for entry in entries if entry is not None]


def with_tokens(study: Study) -> list[Entry]:
    """The arms whose attention of tokens is looked at."""
    return [entry for entry in study.entries if entry.attention and entry.attention.of == "tokens"]


def with_nodes(study: Study) -> list[Entry]:
    """The arms whose attention over nodes is looked at."""
    return [entry for entry in study.entries if entry.attention and entry.attention.of == "nodes"]


def explained(study: Study) -> list[Entry]:
    """The arms whose answers are explained."""
    return [entry for entry in study.entries if entry.attribution]


def kind_of(choice: PlotChoice) -> str:
    """The kind of a figure that a study file asks for: two of its words stand for another one here."""
    if choice.x in WORDS:
        return "measured"
    return "panels" if choice.kind == "curves" else choice.kind


def lacking(choice: PlotChoice, arms: Sequence[Entry]) -> str:
    """What a figure that a study asks for lacks to compare anything: arms, or values of what it is drawn over.

    An experiment on several official splits is one arm here: which split it was is no question of any study's.
    """
    n_arms = _n_arms(arms)
    if not n_arms:
        return "none of its arms is in this preset"
    if choice.kind == "seeds":
        return _lacking_seeds(choice, arms)
    if n_arms == 1 and not _has_losses(choice, arms):
        return "one arm"
    paths = [path for path in (choice.x, choice.by) if path and path not in WORDS]
    counts = {path: len({str(_value(entry, path)) for entry in arms}) for path in paths}
    if choice.kind == "against" and counts.get(choice.x or "") == 1:
        return f"one value of {choice.x}"
    if choice.kind == "heatmap" and all(count == 1 for count in counts.values()):
        return f"one value of {choice.x} and of {choice.by}"
    return ""


def _lacking_seeds(choice: PlotChoice, arms: Sequence[Entry]) -> str:
    seeds = {seed for entry in arms for seed in entry.seeds}
    if not seeds & set(choice.marked):
        return f"no run of seed {', '.join(map(str, choice.marked))}"
    return "" if seeds - set(choice.marked) else "no other seed"


def _has_losses(choice: PlotChoice, arms: Sequence[Entry]) -> bool:
    """Whether published losses stand beside an arm's own."""
    names = {"/".join(entry.key) for entry in arms}
    return any(losses.experiment in names for losses in choice.published)


def _value(entry: Entry, path: str) -> Any:
    """An arm's name, whatever split it is run on, or a value that it is specified by."""
    named = {"experiment": entry.unsplit_name, "arm": entry.arm}
    return named.get(path, entry.values.get(path))


def _n_arms(entries: Sequence[Entry]) -> int:
    return len({(entry.unsplit_name, entry.arm) for entry in entries})


def score_plots(study: Study) -> Iterator[Plot]:
    """All scores that were published, or in a study without any the arms beside one another."""
    is_published = any(p.metric in entry.scoring.scores for entry in study.entries for p in entry.published)
    question = (
        "How do our scores stand beside the published ones?"
        if is_published
        else "How do the arms stand beside one another?"
    )
    lacks = "" if is_published or _n_arms(study.entries) > 1 else "one arm, and no published score"
    yield from _paged("published", "published", question, study.entries, ROWS, lacks, weight=_rows)


def _rows(entry: Entry) -> int:
    """How many scores of an arm stand beside published ones: its main metric is always among them."""
    return len({entry.scoring.main, *(p.metric for p in entry.published)} & set(entry.scoring.scores))


def curve_plots(study: Study) -> Iterator[Plot]:
    """Training curves by group and data set; beside other rates stands the baseline's own."""
    for group, (roles, question) in CURVES.items():
        arms = [entry for entry in study.entries if entry.role in roles]
        if group == "rates":
            arms = [entry for family in study.rates() for entry in family]
        for dataset in dict.fromkeys(entry.dataset for entry in arms):
            entries = [entry for entry in arms if entry.dataset == dataset]
            lacks = "one arm" if _n_arms(entries) == 1 < _n_arms(study.entries) else ""
            name = f"curves_{group}_{dataset}"
            yield from _paged(name, "curves", question, entries, LINES, lacks, about=dataset)


def _paged(
    name: str,
    kind: str,
    question: str,
    entries: Sequence[Entry],
    limit: int,
    lacks: str,
    *,
    weight: Callable[[Entry], int] = lambda entry: 1,
    about: str = "",
) -> Iterator[Plot]:
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
        yield Plot(
            name=f"{name}_{number}" if n_pages > 1 else name,
            kind=kind,
            question=f"{question} ({parts})" if parts else question,
            arms=tuple(page),
            lacks=lacks,
        )


def one_block(study: Study) -> str:
    blocks = {block for entry in with_tokens(study) if entry.attention for block in entry.attention.blocks}
    return "one block" if len(blocks) == 1 else ""


def methods_of(study: Study) -> list[str]:
    return [m for entry in explained(study) if entry.attribution for m in entry.attribution.methods]


def one_method(study: Study) -> str:
    return "one method of one arm" if len(methods_of(study)) == 1 else ""


def sets_of(study: Study) -> list[str]:
    return [name for entry in study.entries if entry.samples for name in entry.samples.sets]


def one_set(study: Study) -> str:
    return "one set of images" if len(sets_of(study)) == 1 else ""


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes:
        module: the file beside this one whose `draw_<name>` draws it and writes its caption.
        question: what it answers; empty where each figure of the kind has its own.
        exists: whether a study has one, of a kind that each study has once.
        arm: the arm that it is of, and that its question names, of a kind that shows one arm alone.
        plots: the figures of a kind that a study can have several of.
        lacks: what a study that has one is missing for it to compare anything, or nothing.
        reads: what it is drawn from beside the numbers of runs: predictions, attention, attribution, or pictures, which
            are images of a data set or generated ones. A reference holds none of them.
        files: a pattern of the file names that the kind takes for itself; empty: its name alone.
    """

    name: str
    module: str
    question: str = ""
    exists: Callable[[Study], Any] | None = None
    arm: Callable[[Study], Entry | None] | None = None
    plots: Callable[[Study], Iterator[Plot]] | None = None
    lacks: Callable[[Study], str] | None = None
    reads: tuple[str, ...] = ()
    files: str = ""

    @property
    def shows_pictures(self) -> bool:
        """Whether it shows images of a data set, whose terms may forbid to pass them on, or generated ones."""
        return "pictures" in self.reads

    def takes(self, name: str) -> bool:
        """Whether a file of this name would be written over; study files name the figures that they ask for."""
        is_automatic = bool(self.exists or self.arm or self.plots)
        return is_automatic and bool(re.fullmatch(self.files or re.escape(self.name), name))

    def of(self, study: Study) -> Iterator[Plot]:
        """The figures of this kind in a study, those among them that lack something."""
        if self.plots:
            yield from self.plots(study)
        elif self.arm and (entry := self.arm(study)):
            yield Plot(self.name, self.name, f"{self.question} {labels(study)[entry.key]}", (entry.key,))
        elif self.exists and self.exists(study):
            lacks = self.lacks(study) if self.lacks else ""
            yield Plot(self.name, self.name, self.question, lacks=lacks)


OVERVIEW = (
    Kind("published", "published", plots=score_plots, files=r"published(_\d+)?"),
    Kind("leak", "published", "How much does a leak flatter the test accuracy?", exists=Study.leaks),
    Kind("convergence", "published", "Does transfer converge faster?", exists=Study.gains),
    Kind("rates", "published", "Is the baseline's learning rate the best one to fine-tune with?", exists=Study.rates),
)  # fmt: skip
# Kinds that study files ask for; `PlotFields` says what they may ask.
ASKED = (
    Kind("against", "arms"),
    Kind("measured", "arms"),
    Kind("heatmap", "arms"),
    Kind("seeds", "arms"),
    Kind("bars", "arms"),
    Kind("panels", "curves"),
)
DETAILS = (
    Kind("curves", "curves", plots=curve_plots, files=rf"curves_({'|'.join(CURVES)})_.*"),
    Kind(
        "attention_maps", "attention", "What does each token attend to?",
        exists=with_tokens, reads=("attention",),
    ),
    Kind(
        "attention_depth", "attention", "How sparse and how diagonal is attention, block by block?",
        exists=with_tokens, lacks=one_block, reads=("attention",),
    ),
    Kind(
        "attention_rollout", "attention", "Where in the image does the answer come from?",
        exists=with_tokens, reads=("attention", "pictures"),
    ),
    Kind(
        "attention_nodes", "nodes", "What does each quarter of an image attend to?",
        exists=with_nodes, reads=("attention", "pictures"),
    ),
    Kind(
        "attention_heads", "nodes", "What does each head of attention look at, over many images?",
        exists=with_nodes, reads=("attention",),
    ),
    Kind(
        "attention_change", "nodes", "Does attention depend on who asks, and on the image?",
        exists=with_nodes, reads=("attention",),
    ),
    Kind(
        "attribution_scores", "attribution", "Which explanation finds the pixels that the answer depends on?",
        exists=methods_of, lacks=one_method, reads=("attribution",),
    ),
    Kind(
        "attribution_maps", "attribution", "Which pixels does the answer depend on?",
        exists=methods_of, reads=("attribution", "pictures"),
    ),
    Kind("generated", "generation", "What do the generators make?", exists=sets_of, reads=("pictures",)),
    Kind(
        "recognised", "generation", "Are the images what they should be, and what does a better one cost?",
        exists=sets_of, lacks=one_set,
    ),
    Kind(
        "confusion", "classifier", "Which classes are mistaken for which?",
        arm=Study.classifier, reads=("predictions",),
    ),
    Kind("samples", "classifier", "What does it see?", arm=Study.classifier, reads=("predictions", "pictures")),
    Kind("precision_recall", "detector", "Which classes does it find, and how surely?", arm=Study.detector),
    Kind("errors", "detector", "What does it get wrong?", arm=Study.detector),
    Kind("detections", "detector", "What does it find?", arm=Study.detector, reads=("predictions", "pictures")),
    Kind("misses", "detector", "Where does it fail most?", arm=Study.detector, reads=("predictions", "pictures")),
)  # fmt: skip
KINDS = {kind.name: kind for kind in (*OVERVIEW, *ASKED, *DETAILS)}


def planned(study: Study) -> list[Plot]:
    """The figures of a study, in reading order; a study that a preset leaves empty has none.

    Raises:
        UserError: the study file gives a figure the name of one that every study may have.
    """
    return [plot for plot in _candidates(study) if not plot.lacks]


def left_out(study: Study) -> list[Plot]:
    """The figures that a study would have, were there anything to compare, in reading order."""
    return [plot for plot in _candidates(study) if plot.lacks]


def plots_of(study: Study) -> list[Plot]:
    """The figures of a study that can be drawn from a reference and committed."""
    return [plot for plot in planned(study) if not KINDS[plot.kind].reads]


def _candidates(study: Study) -> Iterator[Plot]:
    for choice in study.figures:
        if any(kind.takes(choice.name) for kind in KINDS.values()):
            raise UserError(
                f"{study.study}: figures: '{choice.name}' is the name of a figure that the report draws by itself; "
                "choose another"
            )
    if not study.entries:
        return
    for kind in OVERVIEW:
        yield from kind.of(study)
    for choice in study.figures:
        plot = Plot(choice.name, kind_of(choice), choice.title, choice.arms, choice)
        yield replace(plot, lacks=lacking(choice, members(study, plot)))
    for kind in DETAILS:
        yield from kind.of(study)
