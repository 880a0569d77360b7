"""Whether torch and torchvision are a pair.

A torchvision that was built against another torch (often a CPU-only torch beside the torchvision of
the package index) fails at import, deep inside whatever imports it first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from florilegium.core.errors import UserError


@contextmanager
def explained() -> Iterator[None]:
    """Raise `UserError` where the body, or the function that it decorates, imports a torchvision that cannot find its operators in the installed torch."""
    try:
        yield
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        raise UserError(
            f"torch {version('torch')} and torchvision {version('torchvision')} are not a pair from one "
            "package index, so torchvision cannot be imported; install both again from the same index, as "
            "envs/requirements.lock has them"
        ) from error
