"""The claims of a study: its testable sentences, each with the arms and the metric that test it.

A claim is about the value of one arm, or about one arm over another: their difference for a metric that is a fraction,
and their ratio for any other. `at_least` and `at_most` bound it, and so say the direction and the size.
"""

import itertools
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from florilegium.config.base import Name, Strict, Texts
from florilegium.config.metrics import FRACTIONS, Published
from florilegium.core.errors import UserError

Measure = Literal["value", "difference", "ratio"]
Step = tuple[tuple[str, str], tuple[str, str] | None]
"""An arm, as (experiment, arm), and the one that it is held against; None: its value alone is meant."""


class ClaimFields(Strict):
    """A claim without its arms."""

    name: Name
    says: str = Field(min_length=1, description="the sentence, in words of one's own")
    source: str = Field(min_length=1, description="its place in the study document")
    metric: Name | None = Field(None, description="null: the main metric of the task")
    at_least: float | None = Field(
        None, description="least value, difference or ratio; 0 of a difference, 1 of a ratio: the first arm has more"
    )
    at_most: float | None = Field(None, description="and the most; with neither, the arm's published value is claimed")
    note: str = Field("", description="what is a reading of ours, and not the study's word")
    untested: str = Field("", description="in place of arms: why no experiment tests it")


class ClaimEntry(ClaimFields):
    """A claim as a study file writes it."""

    arms: Texts = Field(
        (), description="`experiment` or `experiment/arm`: one for its own value; more: each is held against the next"
    )
    also: tuple[Texts, ...] = Field((), strict=False, description="more of such lists, of which the same is claimed")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if bool(self.arms) == bool(self.untested):
            raise ValueError("arms: name those that test it, or say in untested why none does; one of the two")
        if self.untested and (self.also or self.metric or self.at_least is not None or self.at_most is not None):
            raise ValueError("untested: stands without also, metric, at_least and at_most, since nothing is measured")
        if not all(self.also) or len({len(chain) > 1 for chain in self.chains}) > 1:
            raise ValueError("also: each list must name one arm where arms does, and two or more where arms does")
        for chain in self.chains:
            if twice := next((one for one, other in itertools.pairwise(chain) if one == other), None):
                raise ValueError(f"arms: {twice} would be compared with itself; name another")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least, at_most: {self.at_least:g} is above {self.at_most:g}; exchange them")
        if self.arms and self.at_least is None and self.at_most is None and len(self.arms) > 1:
            raise ValueError("at_least, at_most: give one or both; of a difference, at_least = 0 means more")
        return self

    @property
    def chains(self) -> tuple[tuple[str, ...], ...]:
        """Its lists of arms, the first one first."""
        return (self.arms, *self.also) if self.arms else ()


class Claim(ClaimFields):
    """A claim in one preset: the comparisons of it that are run, and what it lacks."""

    steps: tuple[Step, ...] = Field((), strict=False)
    n_steps: int = Field(0, description="the number of its comparisons, with those that the preset leaves out")
    lacks: str = Field("", description="what the preset leaves out of its arms, or why nothing tests it")

    @property
    def bounds(self) -> tuple[float, ...]:
        """Its bounds that are given; none where a published value is claimed."""
        return tuple(bound for bound in (self.at_least, self.at_most) if bound is not None)

    def measure(self, step: Step) -> Measure:
        """What it is about."""
        if step[1] is None:
            return "value"
        return "difference" if self.metric in FRACTIONS else "ratio"

    def holds(self, value: float) -> bool:
        """True for a value within its bounds."""
        return not (
            (self.at_least is not None and value < self.at_least) or (self.at_most is not None and value > self.at_most)
        )


def check_bounds(claim: Claim, where: str) -> None:
    """Raise `UserError` for bounds that a claim's value, difference or ratio can never be near."""
    measure = claim.measure(claim.steps[0])
    for key, bound in (("at_least", claim.at_least), ("at_most", claim.at_most)):
        if bound is None:
            continue
        place = f"{where}.{key} = {bound:g}"
        if measure == "ratio" and bound <= 0:
            raise UserError(
                f"{place}: {claim.metric} of two arms is a ratio, and 1 means equal; write a positive number"
            )
        if measure != "ratio" and claim.metric in FRACTIONS and not -1 <= bound <= 1:
            percent = f"; write {bound / 100:.12g}" if abs(bound) <= 100 else ""
            raise UserError(f"{place}: {claim.metric} is a fraction of 1{percent}")


def claimed_value(claim: ClaimFields, published: Sequence[Published], where: str) -> Published:
    """The published value of an arm that a claim without bounds is about: of several of its metric, the one with the
    same source.

    Raises:
        UserError: there is none, or more than one; the sentence starts with `where`.
    """
    known = [value for value in published if value.metric == claim.metric]
    if len(known) > 1:
        known = [value for value in known if value.source == claim.source] or known
    if len(known) == 1:
        return known[0]
    if not known:
        raise UserError(f"{where}: has no published {claim.metric}; give at_least or at_most, or publish it")
    sources = "; ".join(value.source for value in known)
    raise UserError(f"{where}: has {len(known)} published values of {claim.metric}; write source as one of {sources}")
