"""Every kind of figure: its question, its caption, what it reads, and when a study has one.

A new figure is a function `draw_<kind>` in one of the files beside this one, and an entry here. Which figures a study
has follows from its description, before anything is measured. Snakemake declares them from here, so nothing heavy is imported.
"""

import re
from collections.abc import Callable, Iterator, Sequence
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
from florilegium.report.study import Study


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes:
        module: the file beside this one whose `draw_<name>` draws it.
        caption: how to read it, for Snakemake's report.
        question: what it answers; empty where each figure of the kind has its own.
        reads: what it is drawn from beside the numbers of runs: predictions, attention, attribution, or pictures, which
            are images of a data set or generated ones. A reference holds none of them.
        exists: whether a study has one, of a kind that each study has once.
        lacks: what such a study is missing for the figure to compare anything, or nothing.
        plots: the figures of a kind that a study can have several of.
        files: a pattern of the file names that the kind takes for itself; empty: its name alone.
    """

    name: str
    module: str
    caption: str
    question: str = ""
    reads: tuple[str, ...] = ()
    exists: Callable[[Study], Any] | None = None
    lacks: Callable[[Study], str] | None = None
    plots: Callable[[Study], Iterator[Plot]] | None = None
    files: str = ""

    @property
    def shows_pictures(self) -> bool:
        """Whether it shows images of a data set, whose terms may forbid to pass them on, or generated ones."""
        return "pictures" in self.reads

    def takes(self, name: str) -> bool:
        """Whether a file of this name would be written over; study files name the figures that they ask for."""
        is_automatic = self.exists is not None or self.plots is not None
        return is_automatic and bool(re.fullmatch(self.files or re.escape(self.name), name))

    def of(self, study: Study) -> Iterator[Plot]:
        """The figures of this kind in a study, those among them that lack something."""
        if self.plots:
            yield from self.plots(study)
        elif self.exists and self.exists(study):
            lacks = self.lacks(study) if self.lacks else ""
            yield Plot(self.name, self.name, self.question, lacks=lacks)


OVERVIEW = (
    Kind(
        "published", "published", plots=score_plots, files=r"published(_\d+)?",
        caption="Ours beside what was published: the dot is our mean, the bar its 95 % interval, the grey band the published "
        "range, and the word at the right the verdict. Rows without a band have no published score. Where what was run is "
        "not what was published, as in ``demo``, a band is no target; the comparison says what differs.",
    ),
    Kind(
        "leak", "published", exists=Study.leaks, question="How much does a leak flatter the test accuracy?",
        caption="The same fine-tuning from two pretrainings: one kept the pictures that the target's validation and test "
        "splits show again, one dropped them. Left, each seed's pair of accuracies; right, their mean difference with its "
        "95 % interval over seeds and images.",
    ),
    Kind(
        "convergence", "published", exists=Study.gains, question="Does transfer converge faster?",
        caption="Epochs until the validation accuracy first reaches 90 % of the same run's last value, from scratch and "
        "transferred. Each run is held against its own end, so an arm that ends low can be fast here: read it beside the "
        "accuracies.",
    ),
    Kind(
        "rates", "published", exists=Study.rates,
        question="Is the baseline's learning rate the best one to fine-tune with?",
        caption="Test accuracy after fine-tuning at 0.1, 0.3, 1 and 3 times the baseline's learning rate. The study claims "
        "that the baseline's own rate is best; these are test accuracies that answer the claim, and no rate was chosen by "
        "them.",
    ),
)  # fmt: skip
# Kinds that study files ask for; `config.figures` says what they may ask.
ASKED = (
    Kind(
        "against", "arms",
        caption="A metric against a value that the arms were given: single runs as small dots, their mean with its 95 % "
        "interval over seeds, the published range as a band.",
    ),
    Kind(
        "measured", "arms",
        caption="One metric against another, both measured: an arm a point, its single runs as small dots, 95 % intervals "
        "over seeds in both directions.",
    ),
    Kind(
        "heatmap", "arms",
        caption="A metric over two values of the arms: mean over seeds, the 95 % interval below it, and how many runs "
        "stand behind each cell.",
    ),
    Kind(
        "seeds", "arms",
        caption="Single seeds held against all others, as one more draw from the same population: the others as dots with "
        "the interval of their mean and the band where 95 % of further seeds fall; for each marked seed its rank and "
        "two-sided p.",
    ),
    Kind(
        "bars", "arms",
        caption="Several metrics arm by arm: fractions as dots, amounts as bars from zero with their ratio to the first "
        "arm. Times and memory are those of the hardware that the table of costs names.",
    ),
    Kind(
        "panels", "curves",
        caption="Loss and main metric by epoch, a column an arm, all on the same scales: every seed as a thin line, their "
        "mean bold. A cross marks where a run diverged.",
    ),
)  # fmt: skip
DETAILS = (
    Kind(
        "curves", "curves", plots=curve_plots, files=rf"curves_({'|'.join(CURVES)})_.*",
        caption="Validation accuracy and training loss against the epoch: every seed as a thin line, their mean bold. A "
        "cross marks where a run diverged. An arm without a validation split has no accuracy curve.",
    ),
    Kind(
        "attention_maps", "attention", reads=("attention",), exists=with_tokens,
        question="What does each token attend to?",
        caption="Attention weights of one head for the first test image: each row is a token that asks, each column one "
        "that it attends to. Entropy (as a share of uniform attention's log N) and diagonal are means over test images.",
    ),
    Kind(
        "attention_depth", "attention", reads=("attention",), exists=with_tokens, lacks=one_block,
        question="How sparse and how diagonal is attention, block by block?",
        caption="Entropy of attention rows (as a share of uniform attention's log N) and the weight of a token on itself, "
        "against the block: a dot a head, a line their mean.",
    ),
    Kind(
        "attention_rollout", "attention", reads=("attention", "pictures"), exists=with_tokens,
        question="Where in the image does the answer come from?",
        caption="Attention rollout (Abnar and Zuidema 2020) over test images: bright patches are those that the answer "
        "comes from.",
    ),
    Kind(
        "attention_nodes", "nodes", reads=("attention", "pictures"), exists=with_nodes,
        question="What does each quarter of an image attend to?",
        caption="What each quarter of a test image attends to, by a head of attention on a ResNet: at the quarter's place "
        "stands a small map of the image, red where more is taken from than an even share, blue where less.",
    ),
    Kind(
        "attention_heads", "nodes", reads=("attention",), exists=with_nodes,
        question="What does each head of attention look at, over many images?",
        caption="What each quarter attends to, by head, as a mean over test images; entropy of the rows, and how much of "
        "the weight moves with the node that asks and with the image.",
    ),
    Kind(
        "attention_change", "nodes", reads=("attention",), exists=with_nodes,
        question="Does attention depend on who asks, and on the image?",
        caption="Entropy of attention over nodes, how much of it moves from node to node and from image to image, and in "
        "how many images all nodes take most from the same one: a dot a head, a bar their mean.",
    ),
    Kind(
        "attribution_scores", "attribution", reads=("attribution",), exists=methods_of, lacks=one_method,
        question="Which explanation finds the pixels that the answer depends on?",
        caption="Deletion and insertion (Petsiuk et al. 2018) of each method of attribution, with 95 % intervals over test "
        "images, beside random orders of pixels and of squares.",
    ),
    Kind(
        "attribution_maps", "attribution", reads=("attribution", "pictures"), exists=methods_of,
        question="Which pixels does the answer depend on?",
        caption="Test images, a right and a wrong answer of each arm, and the maps of all methods: red speaks for the "
        "predicted class, blue against it.",
    ),
    Kind(
        "generated", "generation", reads=("pictures",), exists=sets_of, question="What do the generators make?",
        caption="The first images of each class that every set holds; none was chosen.",
    ),
    Kind(
        "recognised", "generation", exists=sets_of, lacks=one_set,
        question="Are the images what they should be, and what does a better one cost?",
        caption="The share of generated images that a classifier of real images recognises, against the seconds that one "
        "takes.",
    ),
    Kind(
        "confusion", "classifier", reads=("predictions",), exists=Study.classifier,
        question="Which classes are mistaken for which?",
        caption="Errors of the study's main arm on the test images, all seeds together: a matrix whose rows are true "
        "classes and add up to 100 %, or, of more than 50 classes, the pairs that are confused most.",
    ),
    Kind(
        "samples", "classifier", reads=("predictions", "pictures"), exists=Study.classifier,
        question="What does it see?",
        caption="Test images with the true class above, prediction and probability below: right ones, spread evenly over "
        "the test set, then the errors that the network was surest of. First seed of the study's main arm.",
    ),
    Kind(
        "precision_recall", "detector", exists=Study.detector,
        question="Which classes does it find, and how surely?",
        caption="Precision at each recall at an IoU of 0.5, a colour a class: single runs thin, their mean bold; and the "
        "average precision of each class with its 95 % interval over seeds.",
    ),
    Kind(
        "errors", "detector", exists=Study.detector, question="What does it get wrong?",
        caption="Detections by kind: right, of another class, with a bad box, found twice, where nothing is; and objects "
        "missed. Beside it objects by class against what they were taken for, all seeds together.",
    ),
    Kind(
        "detections", "detector", reads=("predictions", "pictures"), exists=Study.detector,
        question="What does it find?",
        caption="Test images, evenly spread: what there is left, what was found right, with class and score. Missed "
        "objects are dashed; detections that are wrong name their kind of error. First seed of the arm that the study "
        "shows, at the score where F1 is best.",
    ),
    Kind(
        "misses", "detector", reads=("predictions", "pictures"), exists=Study.detector,
        question="Where does it fail most?",
        caption="The test images with most objects missed, then with most wrong detections: what there is left, what was "
        "found right. First seed of the arm that the study shows, at the score where F1 is best.",
    ),
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


def captions(plots: Sequence[Plot]) -> dict[str, str]:
    """How to read each figure, by its name for people."""
    return {plot.name.replace("_", " "): KINDS[plot.kind].caption for plot in plots}


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
