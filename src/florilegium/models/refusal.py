"""The error for a network whose constructor refuses its arguments."""

import json

from florilegium.config.data import Model
from florilegium.core.errors import UserError


def unbuildable(model: Model, error: Exception) -> UserError:
    """The error for a network whose constructor raises `error`; of one of Python's own kinds, the text says nothing to
    people."""
    told = isinstance(error, AssertionError | ValueError | RuntimeError) and "()" not in str(error) and str(error)
    reason = f" ({str(error).splitlines()[0][:120]})" if told else ""
    with_what = f" with {json.dumps(model.arguments, default=str)}" if model.arguments else ""
    return UserError(f"model.arguments: {model.name} cannot be built{with_what}{reason}; mend what does not fit")
