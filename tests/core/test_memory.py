"""The memory that a process may take is the least that anything leaves it."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from florilegium.core import memory

PROGRAM = f"""
import resource
from {memory.__name__} import free_memory
resource.setrlimit(resource.RLIMIT_DATA, (3 * 10**8, resource.RLIM_INFINITY))
before = free_memory()
taken = bytearray(10**8)
print(before, free_memory())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much a process has taken")
def test_a_limit_of_the_process_counts_less_what_it_has_taken():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert 0 < before < 3 * 10**8
    assert before - after == pytest.approx(10**8, rel=0.05)


@pytest.mark.parametrize("version", [1, 2])
def test_every_control_group_above_the_process_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int):
    """A container's, of which the process sees its own as the topmost; a job's inside it; cached files are free."""
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "cgroup")
    (tmp_path / "cgroup").write_text(f"3:cpu:/job\n{'4:memory' if version == 1 else '0:'}:/job/step\n")
    if version == 1:
        limit, usage, cached = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        monkeypatch.setattr(memory, "V1", (tmp_path / "fs", *memory.V1[1:]))
    else:
        limit, usage, cached = "memory.max", "memory.current", "inactive_file"
        monkeypatch.setattr(memory, "V2", (tmp_path / "fs", *memory.V2[1:]))
    for folder, most in (("fs/job/step", "max"), ("fs/job", "5000"), ("fs", "9000")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / limit).write_text(most)
        (tmp_path / folder / usage).write_text("4000")
        (tmp_path / folder / "memory.stat").write_text(f"rss 2500\n{cached} 1500\n")
    assert memory.free_memory() == 5000 - 4000 + 1500
    (tmp_path / "fs/job" / limit).write_text("100")
    assert memory.free_memory() == 0  # not less
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "nowhere")
    assert memory.free_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.3)
