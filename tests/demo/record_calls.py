"""Run a module as a program, and record which functions of the package it calls.

    python record_calls.py RECORD FOLDER UNSEEN MODULE [argument ...]

RECORD gains, as JSON, the file, the first line and the name of the code of each function, lambda and comprehension in
FOLDER that ran, and of each module that was imported (`<module>`). Left out: what runs while a module is imported, or
below a call of UNSEEN (`file:line` of its code). Not a test: `test_code_reached.py` runs it.
"""

import json
import runpy
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType

record, folder, unseen, module, *arguments = sys.argv[1:]
seen: set[CodeType] = set()


def place(code: CodeType) -> tuple[str, int]:
    return code.co_filename, code.co_firstlineno


def counts(code: CodeType, frame: FrameType | None) -> bool:
    """True if a call from `frame` counts: not below UNSEEN; while a module is imported, that of the module alone."""
    while frame is not None:
        if "{}:{}".format(*place(frame.f_code)) == unseen:
            return False
        imported = frame.f_code.co_name == "<module>" and frame.f_globals["__name__"] != "__main__"
        if imported and code.co_name != "<module>" and frame.f_code.co_filename.startswith(folder):
            return False
        frame = frame.f_back
    return True


def trace(frame: FrameType, event: str, argument: object) -> None:
    code = frame.f_code
    inside = code.co_filename.startswith(folder) and code.co_filename.endswith(".py")  # templates are code, too
    if inside and code not in seen and counts(code, frame.f_back):
        seen.add(code)


threading.settrace(trace)
sys.argv = [module, *arguments]
sys.settrace(trace)
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    sys.settrace(None)
    called = sorted((*place(code), code.co_name) for code in seen)
    Path(record).write_text(json.dumps(called))
