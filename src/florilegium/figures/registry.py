"""The registry of figures: their kinds, the studies that have each, and what each is drawn from.

A new kind is an entry here and a function in `figures.draw.DRAW`. The workflow plans figures with this module, so it
imports nothing heavy.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from florilegium.config.figures import PlotChoice
from florilegium.config.metrics import WORDS
from florilegium.core.errors import Mistakes, UserError
from florilegium.report.study import Entry, Key, Study, labels

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
        choice: its entry in the study file, if that asks for it.
        lacks: what is missing for it to compare anything; a figure that lacks something is not drawn.
    """

    name: str
    kind: str
    question: str
    arms: tuple[Key, ...] = ()
    choice: PlotChoice | None = None
    lacks: str = ""


@dataclass(frozen=True)
class Kind:
    """A kind of figure. A study has as many of it as `plots` yields, or one of `arm`, or one if `exists`.

    Attributes:
        question: what it answers; empty where each figure of the kind has its own.
        exists: what the figure compares; a study without any has no such figure.
        reads: its material beside the numbers of runs: predictions, attention, attribution, or pictures, which are
            images of a data set or generated ones. A reference has none of them.
        lone: the words for a single thing that `exists`, where that leaves nothing to compare.
        arm: the arm that the figure is of, and that its question names.
        plots: the figures of a kind that a study can have several of.
        files: a pattern of the file names that the kind reserves; empty: its name alone.
    """

    name: str
    question: str = ""
    exists: Callable[[Study], Sized] | None = None
    reads: tuple[str, ...] = ()
    lone: str = ""
    arm: Callable[[Study], Entry | None] | None = None
    plots: Callable[[Study], Iterator[Plot]] | None = None
    files: str = ""

    def takes(self, name: str) -> bool:
        """True if a figure of this kind may have this name, which no figure of a study file may have then."""
        return bool(re.fullmatch(self.files or self.name, name))

    def of(self, study: Study) -> Iterator[Plot]:
        """The figures of this kind in a study, those among them that lack something."""
        if self.plots:
            yield from self.plots(study)
        elif self.arm and (entry := self.arm(study)):
            yield Plot(self.name, self.name, f"{self.question} {labels(study)[entry.key]}", (entry.key,))
        elif self.exists and (count := len(self.exists(study))):
            yield Plot(self.name, self.name, self.question, lacks=self.lone if count == 1 else "")


def planned(study: Study) -> list[Plot]:
    """The figures of a study, in reading order; a study that a preset leaves empty has none."""
    return [plot for plot in _candidates(study) if not plot.lacks]


def left_out(study: Study) -> list[Plot]:
    """The figures that a study would have, were there anything to compare, in reading order."""
    return [plot for plot in _candidates(study) if plot.lacks]


def check_names(figures: Mapping[str, Sequence[PlotChoice]], files: Mapping[str, str]) -> None:
    """Raise `UserError` or `UserErrors` for figures of a study file that are called as those that every study may
    have. Both arguments are by study: its own figures, and its file for messages."""
    mistakes = Mistakes()
    for study, own in figures.items():
        for figure in own:
            with mistakes.caught():
                if any(kind.takes(figure.name.casefold()) for kind in (*OVERVIEW, *DETAILS)):
                    raise UserError(
                        f"{files[study]}: figures.{figure.name}: is the name of a figure that the "
                        "report draws by itself; choose another"
                    )
    mistakes.refuse()


def plots_of(study: Study) -> list[Plot]:
    """The figures of a study that can be drawn from a reference and committed."""
    return [plot for plot in planned(study) if not KINDS[plot.kind].reads]


def members(study: Study, plot: Plot) -> list[Entry]:
    """The arms that a figure shows."""
    return [entry for key in plot.arms if (entry := study.find(key)) is not None]


def _candidates(study: Study) -> Iterator[Plot]:
    if study.entries:
        yield from (plot for kind in OVERVIEW for plot in kind.of(study))
        yield from (_asked(study, choice) for choice in study.figures)
        yield from (plot for kind in DETAILS for plot in kind.of(study))


# Figures that a study file asks for


def _asked(study: Study, choice: PlotChoice) -> Plot:
    kind = "measured" if choice.x in WORDS else "panels" if choice.kind == "curves" else choice.kind
    plot = Plot(choice.name, kind, choice.title, choice.arms, choice)
    return replace(plot, lacks=_lacking(choice, members(study, plot)))


def _lacking(choice: PlotChoice, arms: Sequence[Entry]) -> str:
    """The arms or values that a figure lacks to compare anything; empty where it lacks none.

    An experiment on several official splits is one arm here: no study compares its splits.
    """
    n_arms = _n_arms(arms)
    if not n_arms:
        return "none of its arms is in this preset"
    if choice.kind == "seeds":
        seeds, marked = {seed for entry in arms for seed in entry.seeds}, set(choice.marked)
        if not seeds & marked:
            return f"no run of seed {', '.join(map(str, choice.marked))}"
        return "" if seeds - marked else "no other seed"
    names = {"/".join(entry.key) for entry in arms}
    if n_arms == 1 and not any(losses.experiment in names for losses in choice.published):
        return "one arm"
    paths = [path for path in (choice.x, choice.by) if path and path not in WORDS]
    counts = {path: len({str(_value(entry, path)) for entry in arms}) for path in paths}
    if choice.kind == "against" and counts.get(choice.x or "") == 1:
        return f"one value of {choice.x}"
    if choice.kind == "heatmap" and all(count == 1 for count in counts.values()):
        return f"one value of {choice.x} and of {choice.by}"
    return ""


def _value(entry: Entry, path: str) -> Any:
    """An arm's name, whatever split it is run on, or a value that it is specified by."""
    return {"experiment": entry.unsplit_name, "arm": entry.arm}.get(path, entry.values.get(path))


def _n_arms(entries: Sequence[Entry]) -> int:
    return len({(entry.unsplit_name, entry.arm) for entry in entries})


# Figures that share the arms of a study among them


def score_plots(study: Study) -> Iterator[Plot]:
    """All scores that were published, or in a study without any the arms beside one another."""
    if any(p.metric in entry.scoring.scores for entry in study.entries for p in entry.published):
        plot = Plot("published", "published", "How do our scores stand beside the published ones?")
    else:
        lacks = "" if _n_arms(study.entries) > 1 else "one arm, and no published score"
        plot = Plot("published", "published", "How do the arms stand beside one another?", lacks=lacks)
    yield from _paged(plot, study.entries, ROWS, [_n_scores(entry) for entry in study.entries])


def _n_scores(entry: Entry) -> int:
    """The number of an arm's rows beside published scores: its main metric always has one."""
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
            plot = Plot(f"curves_{group}_{dataset}", "curves", question, lacks=lacks)
            yield from _paged(plot, entries, LINES, [1] * len(entries), [dataset])


def _paged(
    plot: Plot, arms: Sequence[Entry], limit: int, weights: Sequence[int], about: Sequence[str] = ()
) -> Iterator[Plot]:
    """The figure with its arms, or several that share the arms evenly when their weights exceed `limit`."""
    total, before = sum(weights), 0
    n_pages = max(1, ceil(total / limit))
    pages: list[list[Key]] = [[] for _ in range(n_pages)]
    for entry, weight in zip(arms, weights, strict=True):
        pages[min(before * n_pages // max(total, 1), n_pages - 1)].append(entry.key)
        before += weight
    for number, page in enumerate(pages, 1):
        parts = ", ".join([*about, f"{number} of {n_pages}"] if n_pages > 1 else about)
        yield replace(
            plot,
            name=f"{plot.name}_{number}" if n_pages > 1 else plot.name,
            question=f"{plot.question} ({parts})" if parts else plot.question,
            arms=tuple(page),
        )


# Figures that a study has once


def with_tokens(study: Study) -> list[Entry]:
    """The arms of which the attention of tokens is recorded."""
    return [entry for entry in study.entries if entry.attention and entry.attention.of == "tokens"]


def with_nodes(study: Study) -> list[Entry]:
    """The arms of which the attention over nodes is recorded."""
    return [entry for entry in study.entries if entry.attention and entry.attention.of == "nodes"]


def explained(study: Study) -> list[Entry]:
    """The arms whose answers are explained."""
    return [entry for entry in study.entries if entry.attribution]


def _blocks(study: Study) -> set[int]:
    return {block for entry in with_tokens(study) if entry.attention for block in entry.attention.blocks}


def _methods(study: Study) -> list[str]:
    return [method for entry in explained(study) if entry.attribution for method in entry.attribution.methods]


def _sets(study: Study) -> list[str]:
    return [name for entry in study.entries if entry.samples for name in entry.samples.sets]


# The registry, in reading order

OVERVIEW = (
    Kind("published", plots=score_plots, files=r"published(_\d+)?"),
    Kind("leak", "How much does a leak flatter the test accuracy?", Study.leaks),
    Kind("convergence", "Does transfer converge faster?", Study.gains),
    Kind("rates", "Is the baseline's learning rate the best one to fine-tune with?", Study.rates),
)
# Kinds that study files ask for; `PlotFields` says what they may ask.
ASKED = tuple(map(Kind, ("against", "measured", "heatmap", "seeds", "bars", "panels")))
DETAILS = (
    Kind("curves", plots=curve_plots, files=rf"curves_({'|'.join(CURVES)})_.*"),
    Kind("attention_maps", "What does each token attend to?", with_tokens, ("attention",)),
    Kind(
        "attention_depth", "How sparse and how diagonal is attention, block by block?",
        _blocks, ("attention",), lone="one block",
    ),
    Kind("attention_rollout", "Where in the image does the answer come from?", with_tokens, ("attention", "pictures")),
    Kind("attention_nodes", "What does each quarter of an image attend to?", with_nodes, ("attention", "pictures")),
    Kind("attention_heads", "What does each head of attention look at, over many images?", with_nodes, ("attention",)),
    Kind("attention_change", "Does attention depend on who asks, and on the image?", with_nodes, ("attention",)),
    Kind(
        "attribution_scores", "Which explanation finds the pixels that the answer depends on?",
        _methods, ("attribution",), lone="one method of one arm",
    ),
    Kind("attribution_maps", "Which pixels does the answer depend on?", _methods, ("attribution", "pictures")),
    Kind("generated", "What do the generators make?", _sets, ("pictures",)),
    Kind(
        "recognised", "Are the images what they should be, and what does a better one cost?",
        _sets, lone="one set of images",
    ),
    Kind("calibration", "Is it right as often as it says?", arm=Study.classifier, reads=("predictions",)),
    Kind("by_class", "Which classes are hard?", arm=Study.classifier, reads=("predictions",)),
    Kind("confusion", "Which classes are mistaken for which?", arm=Study.classifier, reads=("predictions",)),
    Kind("samples", "What does it see?", arm=Study.classifier, reads=("predictions", "pictures")),
    Kind("precision_recall", "Which classes does it find, and how surely?", arm=Study.detector),
    Kind("errors", "What does it get wrong?", arm=Study.detector),
    Kind("detections", "What does it find?", arm=Study.detector, reads=("predictions", "pictures")),
    Kind("misses", "Where does it fail most?", arm=Study.detector, reads=("predictions", "pictures")),
)  # fmt: skip
KINDS = {kind.name: kind for kind in (*OVERVIEW, *ASKED, *DETAILS)}
