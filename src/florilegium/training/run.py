"""One run: made under its lock, kept until the workflow has it on its books, taken over where it was finished."""

from collections.abc import Callable, Sequence

from florilegium.core.ancestry import orphaned
from florilegium.core.kept import keep, take_over, withdraw
from florilegium.core.progress import say
from florilegium.training import parallel
from florilegium.training.job import Job
from florilegium.training.state import StateFolder


def train_run(job: Job, seed: int, files: Sequence[str], make: Callable[[StateFolder], None]) -> None:
    """Have `make` write `files` and the receipt of the run of `seed`; or take the run over where it was
    finished before. Helpers only train.

    Raises:
        UserError: what `make` raises; or another process is at work on this run.
    """
    with StateFolder(job.state_of(seed), job.fingerprint(seed)) as state:
        first = not parallel.rank()
        if parallel.agreed(first and take_over(job.out_of(seed), state.folder, state.fingerprint)):
            say(f"{job.out}, seed {seed}: was finished before, and is taken over")
            return
        make(state)
        if first:
            keep(job.out_of(seed), (*files, "receipt.json"), state.folder, state.fingerprint)
            state.clear()
            if orphaned():
                withdraw(job.out_of(seed), state.folder)
                say("the workflow that started this training is gone; the next one takes the result over")
