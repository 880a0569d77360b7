"""Whether the networks of a plan can be built as its experiments ask: all that is known without importing torch."""

from collections.abc import Mapping

from florilegium.config.data import Weights
from florilegium.models import registry
from florilegium.models.arguments import check_attended, check_frozen, check_sampled, check_steps
from florilegium.models.catalogue import look_up
from florilegium.plan.plan import Plan


def check_networks(plan: Plan, catalogue: Mapping[str, Weights]) -> None:
    """Check every experiment's network and weights before anything runs.

    Args:
        catalogue: the published weights, by name.

    Raises:
        UserError: unknown weights, or a network that is unknown, of another task, or without what the experiment
            freezes, looks at or samples by; the sentence names the experiment.
    """
    for e in plan.experiments:
        registry.check(e.model, e.key, e.task)
        check_frozen(e.model, e.recipe, e.key)
        check_attended(e.model, e.attention, e.key)
        check_steps(e.model, e.recipe, e.key)
        check_sampled(e.model, e.samples, e.key)
    for name in plan.weights():
        look_up(name, catalogue)
