"""A clear error for a torchvision that does not fit the installed torch.

A torchvision that was built for another torch (often a CPU-only torch beside the torchvision of the package
index) fails at its first import, deep inside another package.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

from florilegium.core.errors import UserError


@contextmanager
def mismatch_as_user_error() -> Iterator[None]:
    """Raise `UserError` where the body, or the decorated function, imports a torchvision whose operators are missing
    in the installed torch."""
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
