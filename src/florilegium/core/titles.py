"""Titles of experiments and figures: `{network}` and `{first_weights}` become what is true of this preset."""

from collections.abc import Sequence
from dataclasses import replace

from florilegium.core.departures import Paper
from florilegium.core.errors import UserError
from florilegium.core.experiment import Experiment
from florilegium.core.figures import PlotChoice
from florilegium.core.networks import called
from florilegium.core.spec import Init

NETWORK, WEIGHTS = "{network}", "{first_weights}"


def titled(e: Experiment, paper: Paper) -> Experiment:
    """The experiment with a title that names what it is; raises `UserError` where there is nothing to name."""
    for placeholder in (NETWORK, WEIGHTS):
        key = placeholder.strip("{}")
        if placeholder in e.title and not getattr(e, key):
            raise UserError(
                f"{e.key}: title has {placeholder}, and the experiment has no `{key}`; give it one"
            )
    title = e.title.replace(NETWORK, network_of(e, paper)).replace(WEIGHTS, _weights_of(e, paper))
    return replace(e, title=title)


def figure_titled(figure: PlotChoice, experiments: Sequence[Experiment], paper: Paper) -> PlotChoice:
    """The figure with a title that names the network of its first arm, and of all others that stand for the same one.

    Raises:
        UserError: the title asks for a network, and the first arm has none.
    """
    if NETWORK not in figure.title:
        return figure
    if not figure.arms:
        return figure.model_copy(update={"title": figure.title.replace(NETWORK, "a network")})
    of_key = {(e.name, e.arm): e for e in experiments}
    arms = [of_key[key] for key in figure.arms]
    published = arms[0].network
    if not published:
        raise UserError(
            f"figures.{figure.name}: title has {NETWORK}, and {arms[0].key} has no `network`; give it one"
        )
    names = {network_of(e, paper) for e in arms if e.network == published}
    name = names.pop() if len(names) == 1 else f"networks in place of {published}"
    return figure.model_copy(update={"title": figure.title.replace(NETWORK, name)})


def network_of(e: Experiment, paper: Paper) -> str:
    """What the network of an experiment is called."""
    reference = paper.model_of(e)
    return called(e.model, reference.model if reference else None, e.network)


def _weights_of(e: Experiment, paper: Paper) -> str:
    reference = paper.model_of(e)
    if reference is None or e.init == reference.init:
        return e.first_weights
    return _said(e.init)


def _said(init: Init | None) -> str:
    if init is None:
        return "random weights"
    return "weights of our own" if init.experiment else str(init.weights or init.file)
