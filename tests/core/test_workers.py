"""No worker outlives the process that it works for."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from florilegium.core import workers

PROGRAM = f"""
import signal
import time
from {workers.__name__} import worker_pool

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore

def work(seconds):
    time.sleep(seconds)
    return seconds

if __name__ == "__main__":
    with worker_pool(2) as pool:
        for done in pool.map(work, [0.01] + [0.2] * 600):
            print(done, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_workers_end_with_their_parent_however_it_ends(number: signal.Signals, tmp_path: Path):
    (tmp_path / "program.py").write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.send_signal(number)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert process.wait(30) in (-number, 1)
    assert "SpawnProcess" not in process.stderr.read()  # no worker prints a traceback of its own
