"""Which figures a study has: known from its description, before anything is measured.

Snakemake declares them from here, so nothing heavy is imported.
"""

from dataclasses import dataclass

from florilegium.report.study import Entry, Study

GROUPS = {
    "target": ("scratch", "transfer"),
    "pretraining": ("pretrain",),
    "rates": ("rate",),
}
QUESTIONS = {
    "published": "How do our accuracies stand beside the published ones?",
    "leak": "How much does a leak flatter the test accuracy?",
    "convergence": "Does transfer converge faster?",
    "rates": "Is the baseline's learning rate the best one to fine-tune with?",
    "curves_target": "How do the arms learn the target data set?",
    "curves_pretraining": "How does the pretraining go?",
    "curves_rates": "How does the fine-tuning go at each learning rate?",
    "attention_maps": "What does each token attend to?",
    "attention_depth": "How sparse and how diagonal is attention, block by block?",
    "attention_rollout": "Where in the image does the answer come from?",
    "confusion": "Which classes are mistaken for which?",
    "samples": "What does it see?",
}
ATTENTION = ("attention_maps", "attention_depth", "attention_rollout")
CONVERGENCE_ROLES = ("scratch", "transfer")


@dataclass(frozen=True)
class Planned:
    """A figure that is to be drawn: its file is `<name>.png`; `dataset` narrows curves to one target."""

    name: str
    kind: str
    group: str = ""
    dataset: str = ""

    @property
    def question(self) -> str:
        """What the figure answers; its title, and its text for those who cannot see it."""
        if self.kind != "curves":
            return QUESTIONS[self.kind]
        return f"{QUESTIONS[f'curves_{self.group}']} ({self.dataset})"


def planned(study: Study) -> list[Planned]:
    """The figures of a study, in reading order."""
    found = [Planned("published", "published")]
    if study.leaks():
        found.append(Planned("leak", "leak"))
    if study.gains():
        found.append(Planned("convergence", "convergence"))
    if study.rates():
        found.append(Planned("rates", "rates"))
    for group in GROUPS:
        for dataset in dict.fromkeys(entry.dataset for entry in study.entries if entry.role in GROUPS[group]):
            found.append(Planned(f"curves_{group}_{dataset}", "curves", group, dataset))
    if attentive(study):
        found += [Planned(kind, kind) for kind in ATTENTION]
    return [*found, Planned("confusion", "confusion"), Planned("samples", "samples")]


def attentive(study: Study) -> list[Entry]:
    """The arms whose attention is looked at."""
    return [entry for entry in study.entries if entry.attention]


def members(study: Study, figure: Planned) -> list[Entry]:
    """The arms that a figure of curves shows; beside other rates stands the baseline's own."""
    if figure.group == "rates":
        return [entry for family in study.rates() for entry in family if entry.dataset == figure.dataset]
    return [e for e in study.entries if e.role in GROUPS[figure.group] and e.dataset == figure.dataset]
