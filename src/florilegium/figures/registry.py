"""Every kind of figure: its question, what it reads, and when a study has one.

A new figure is a function `draw_<kind>` in one of the files beside this one, and an entry in `KINDS` here. Which figures a study
has follows from its description, before anything is measured. Snakemake declares them from here, so nothing heavy is imported.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from florilegium.core.errors import UserError
from florilegium.figures.plots import (
    CURVES,
    Plot,
    curve_plots,
    kind_of,
    lacking,
    members,
    methods_of,
    one_block,
    one_method,
    one_set,
    score_plots,
    sets_of,
    with_nodes,
    with_tokens,
)
from florilegium.report.study import Entry, Study, labels


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
