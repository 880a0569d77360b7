"""How a process ends: the exit code and the last sentence for every kind of error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from florilegium.core import errors

# What is raised, the exit code, and what the last line says.
FULL = "OSError(28, 'No space left on device', 'x.npy')"
ENDS = {
    "a mistake": ("raise UserError('config.yaml: no')", 2, "config.yaml: no"),
    "several mistakes": ("raise UserErrors(['a: no', 'b: no'])", 2, "b: no"),
    "a full disk": (
        "raise OSError(28, 'No space left on device', 'x.npy')",
        2,
        "no space left on the disk while writing x",
    ),
    "a full quota": ("raise OSError(122, 'Disk quota exceeded', 'x.npy')", 2, "no space left in your quota"),
    "safetensors on a full disk": (
        "raise ValueError('Error while serializing: I/O error: No space left on device (os error 28)')",
        2,
        "no space left on the disk",
    ),
    "a full disk behind another error": (
        f"try:\n    raise {FULL}\nfinally:\n    raise RuntimeError('unexpected pos')",
        2,
        "no space left on the disk while writing x.npy",
    ),
    "a full disk in a group": (
        "raise ExceptionGroup('two', [KeyError(1), OSError(28, 'full', 'x')])",
        2,
        "no space left",
    ),
    "a file over a limit": ("raise OSError(27, 'File too large', 'x.npy')", 2, "x.npy: the file is larger than"),
    "no memory": ("raise MemoryError", 2, "memory ran out; lower recipe.batch_size"),
    "numpy without memory": ("import numpy; numpy.empty(1 << 50)", 2, "memory ran out"),
    "no memory for a process": ("raise OSError(12, 'Cannot allocate memory')", 2, "memory ran out"),
    "torch on a CPU": (
        "raise RuntimeError('DefaultCPUAllocator: can\\'t allocate memory')",
        2,
        "error: memory ran out",
    ),
    "torch on a GPU": (
        "class OutOfMemoryError(RuntimeError): pass\nraise OutOfMemoryError('CUDA out of memory. Tried ...')",
        2,
        "error: the GPU's memory ran out",
    ),
    "cuBLAS": ("raise RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED')", 2, "the GPU's memory ran out"),
    "a killed worker": (
        "from concurrent.futures.process import BrokenProcessPool\nraise BrokenProcessPool('a child')",
        2,
        "fewer processes",
    ),
    "a missing file": ("open('nowhere/x.txt')", 2, "nowhere/x.txt: no such file or directory; give a path that exists"),
    "a folder for a file": ("open('.')", 2, ".: is a directory; give a file"),
    "a file for a folder": (f"open({__file__!r} + '/x')", 2, "not a directory"),
    "a name that is too long": ("open('x' * 300)", 2, "shorten it"),
    "a read-only disk": ("raise OSError(30, 'Read-only file system', 'x.csv')", 2, "x.csv: read-only file system"),
    "no permission": ("raise PermissionError(13, 'Permission denied', b'x.csv')", 2, "x.csv: permission denied; allow"),
    "a failing disk": ("raise OSError(5, 'Input/output error')", 2, "a file: input/output error; the disk"),
    "a missing package": ("import no_such_package.part", 2, "the package 'no_such_package' is not installed; set up"),
    "a missing module of our own": (f"import {errors.__name__}_there", 3, "this is a fault"),
    "a fault": ("{}['x']", 3, "KeyError: 'x': this is a fault of florilegium"),
    "a fault of several lines": ("raise ValueError('a\\nb')", 3, "ValueError: a b: this is a fault"),
    "a fault without words": ("assert False", 3, "AssertionError: "),
    "an error of the system without a file": ("raise OSError('odd')", 3, "OSError: odd: this is a fault"),
    "a pipe inside": ("raise BrokenPipeError(32, 'Broken pipe')", 3, "this is a fault"),
    "a fault after a mistake": ("try:\n    raise UserError('a')\nfinally:\n    raise KeyError(1)", 3, "KeyError"),
    "a nested fault": ("def f(): f()\nf()", 3, "RecursionError"),
}
NO_WORDS = {
    "a finding": ("return 1", 1),
    "nothing": ("pass", 0),
    "Ctrl-C": ("raise KeyboardInterrupt", 130),
    "a signal": ("raise SystemExit(143)", 143),
}
PRINTS = ["print('x')", "for i in range(10 ** 6): print(i, flush=True)", "for i in range(10 ** 6): print(i)"]
WRITES = {"print('x')": 2, "print('x', flush=True)": 2, "{}['x']": 3, "raise UserError('no')": 2}


def program(body: str, log: str = "None") -> list[str]:
    lines = [
        "from pathlib import Path",
        f"from {errors.__name__} import UserError, UserErrors, run_main",
        "def main():",
    ]
    lines += [f"    {line}" for line in body.split("\n")]
    return [sys.executable, "-c", "\n".join([*lines, f"run_main(main, log={log})"])]


def run(body: str, folder: Path, log: str = "None", **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(program(body, log), cwd=folder, capture_output=True, text=True, **options)


@pytest.mark.parametrize("kind", ENDS)
def test_a_command_ends_in_one_sentence(kind: str, tmp_path: Path):
    """No traceback is printed, and it is in the file that the sentence names if it is a fault."""
    body, code, sentence = ENDS[kind]
    done = run(body, tmp_path, "Path('logs/command.log')")
    assert done.returncode == code
    *_, last = done.stderr.splitlines()
    assert sentence in last or last.startswith("b: no")
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert (tmp_path / "logs/command.log").is_file() == (code == 3)
    if code == 3:
        assert last.endswith("its traceback is in logs/command.log")
        assert "Traceback" in (tmp_path / "logs/command.log").read_text()


@pytest.mark.parametrize("kind", ["a full disk", "no memory", "a missing file", "a fault"])
def test_a_stage_keeps_its_traceback_in_the_log_above_the_sentence(kind: str, tmp_path: Path):
    body, code, sentence = ENDS[kind]
    done = run(body, tmp_path)
    assert done.returncode == code
    first, *_, last = done.stderr.splitlines()
    assert first.startswith("Traceback") and last.startswith("error: ") and sentence in last
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", NO_WORDS)
def test_what_needs_no_words_has_none(kind: str, tmp_path: Path):
    body, code = NO_WORDS[kind]
    done = run(body, tmp_path, "Path('logs/command.log')")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_where_the_folder_cannot_be_written_the_traceback_is_in_a_temporary_file(tmp_path: Path):
    (tmp_path / "logs").write_text("a file where the folder of logs would be")
    (tmp_path / "temporary").mkdir()
    done = run(
        "{}['x']", tmp_path, "Path('logs/command.log')", env={**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    )
    (file,) = (tmp_path / "temporary").iterdir()
    assert done.returncode == 3 and done.stderr.rstrip().endswith(f"its traceback is in {file}")
    assert "KeyError" in file.read_text()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("body, code", WRITES.items())
def test_a_log_on_a_full_disk_keeps_the_exit_code(body: str, code: int, tmp_path: Path):
    with open("/dev/full", "w") as full:
        both = subprocess.run(program(body), stdout=full, stderr=full)
        assert both.returncode == code
        output = subprocess.run(program(body), stdout=full, stderr=subprocess.PIPE, text=True)
        assert output.returncode == code and output.stderr.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    "body", ["print('x')", "[print(i, flush=True) for i in range(10 ** 6)]", "[print(i) for i in range(10 ** 6)]"]
)
def test_nobody_reads_the_output_any_more(body: str):
    process = subprocess.Popen(program(body), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp1252"])
def test_any_name_can_be_printed(encoding: str, tmp_path: Path):
    names = r"print('\u03c0 \u00e4 \udcff \ud800 \U0001f33c')"
    done = subprocess.run(program(names), capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.strip()


def test_without_any_output_a_program_works():
    closed = ["sh", "-c", '"$@" >&- 2>&-', "sh", *program("import sys; print('x'); sys.stdout.flush()")]
    assert subprocess.run(closed).returncode == 0


@pytest.mark.parametrize("finding", [None, "a leak"])
def test_help_names_the_codes(finding: str | None):
    text = errors.exit_codes(finding)
    assert ("1 a leak, " in text) == bool(finding) and "0 done, " in text and "2 what" in text and "3 a fault" in text
