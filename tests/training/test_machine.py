"""Memory that a step frees is there for the next one."""

import platform
import subprocess
import sys

import pytest

# Eighty megabytes in two tensors, written and freed ten times: 19,531 pages a time, if the kernel has to give them.
STEPS = """
import resource, sys, torch
from florilegium.training.machine import configure

def step():
    a = torch.zeros(10_000_000); b = a + 1

if sys.argv[1] == "kept":
    configure(torch.device("cpu"), 1)
for _ in range(20):  # until the heap has found its size
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 10)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep freed memory")
def test_steps_on_a_cpu_do_not_ask_the_kernel_for_their_memory_again():
    faults = {how: int(subprocess.check_output([sys.executable, "-c", STEPS, how])) for how in ("kept", "handed back")}
    assert faults["kept"] < 100 < 10_000 < faults["handed back"]
