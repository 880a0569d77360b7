"""What a program reaches by name, construct by construct.

In each case `stage:main` is hashed. Another constant in place of `USED` must change the hash; in place of `IDLE` it
must not.
"""

import re
from pathlib import Path

import pytest

from florilegium.core.fingerprint import Code

CASES = {
    "a function, and not its neighbour": {
        "stage": "from pkg.a import f\ndef main(): return f()\ndef other(): return IDLE",
        "a": "def f(): return USED\ndef g(): return IDLE\nIDLE_TABLE = [IDLE]",
    },
    "a constant that another is made of": {
        "stage": "from pkg.a import B\ndef main(x=B): return x",
        "a": "A = [USED]\nB = A + [USED]\nC = A + [IDLE]",
    },
    "an attribute of a module": {
        "stage": "from pkg import a\nfrom pkg.room import b\ndef main(): return a.f() + b.f()",
        "a": "def f(): return USED\ndef g(): return IDLE",
        "room/b": "def f(): return USED\ndef g(): return IDLE",
    },
    "a module by its whole name": {
        "stage": "import pkg.room.b\ndef main(): return pkg.room.b.f()",
        "room/b": "def f(): return USED\ndef g(): return IDLE",
    },
    "a module by another name": {
        "stage": "import pkg.room.b as c\ndef main(): return c.f()",
        "room/b": "def f(): return USED\ndef g(): return IDLE",
    },
    "a relative import": {
        "stage": "from .room import b\nfrom .room.c import h\ndef main(): return b.f() + h()",
        "room/b": "from . import c\nfrom ..a import g\ndef f(): return c.f() + g()\ndef i(): return IDLE",
        "room/c": "def f(): return USED\ndef h(): return USED\ndef g(): return IDLE",
        "a": "def f(): return IDLE\ndef g(): return USED",
    },
    "an import in a function": {
        "stage": "def main():\n    from pkg import a\n    from pkg.a import g as f\n    return a.h() + f()",
        "a": "def f(): return IDLE\ndef g(): return USED\ndef h(): return USED",
    },
    "an import in a function that no one calls": {
        "stage": "def main(): return 1\ndef other():\n    from pkg.a import f\n    return f()",
        "a": "print(IDLE)\ndef f(): return IDLE",
    },
    "a global import in a function": {
        "stage": "def main():\n    load()\n    return a.f()\ndef load():\n    global a\n    from pkg import a",
        "a": "def f(): return USED",
    },
    "a global variable": {
        "stage": "from pkg.a import f\nSTATE = USED\ndef main():\n    global STATE\n    STATE = f()",
        "a": "def f(): return USED\ndef g(): return IDLE",
    },
    "a name that is imported again by another module": {
        "stage": "from pkg.b import g\nfrom pkg import b\ndef main(): return g() + b.h()",
        "b": "from pkg.a import f as g, h, i",
        "a": "def f(): return USED\ndef h(): return USED\ndef i(): return IDLE",
    },
    "a module that is imported again by another module": {
        "stage": "from pkg import b\nfrom pkg.b import c\ndef main(): return b.a.f() + c.f()",
        "b": "from pkg import a, c",
        "a": "def f(): return USED\ndef g(): return IDLE",
        "c": "def f(): return USED\ndef g(): return IDLE",
    },
    "a package that imports its parts": {
        "stage": "from pkg import room\nfrom pkg.room import g\ndef main(): return room.f() + g()",
        "room/__init__": "from pkg.room.b import f, g, h",
        "room/b": "def f(): return USED\ndef g(): return USED\ndef h(): return IDLE",
    },
    "a name that its package binds beside the module of that name": {
        "stage": "from pkg.room import b\ndef main(): return b()",
        "room/__init__": "from pkg.room.b import b",
        "room/b": "def b(): return USED",
    },
    "methods, those of bases, and what they use": {
        "stage": "from pkg.a import B\nclass C(B): pass\ndef main(): return C().go()",
        "a": "class B(A):\n    def go(self): return self.run()\nclass A:\n    def run(self): return f()\n"
        "    def idle(self): return USED\ndef f(): return USED\ndef g(): return IDLE",
        # before its base: Python would not, but names are what counts
    },
    "fields, defaults, decorators and keywords of a class": {
        "stage": "from dataclasses import dataclass, field\nfrom pkg import a\n@a.mark(a.M)\n@dataclass\n"
        "class C(a.Base, metaclass=a.Meta):\n    x: int = a.X\n    y: list = field(default_factory=a.y)\n"
        "def main(): C()",
        "a": "def mark(x): return USED\nM = USED\nX = USED\ndef y(): return USED\nclass Base: b = USED\n"
        "class Meta(type): c = USED\nZ = IDLE",
    },
    "defaults, decorators and annotations of a function": {
        "stage": "from functools import cache\nfrom pkg import a\n"
        "@cache\ndef main(x: a.A = a.X, *, y: 'a.B' = a.Y, z: list['C']) -> a.R: pass\nclass C: c = USED\n"
        "class D: d = IDLE",
        "a": "class A: a = USED\nclass B: b = USED\nclass R: r = USED\nX = USED\nY = USED\nZ = IDLE",
    },
    "annotations of the fields of a model": {
        "stage": "from __future__ import annotations\nfrom pydantic import BaseModel\nfrom pkg import a\n"
        "class C(BaseModel):\n    x: a.A\n    y: 'list[a.B] | None' = None\ndef main(): C()",
        "a": "class A: a = USED\nclass B: b = USED\nclass D: d = IDLE",
    },
    "an import that only a type checker sees": {
        "stage": "from __future__ import annotations\nimport typing\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from pkg.a import A\nelse:\n    from pkg.b import B\n"
        "if typing.TYPE_CHECKING:\n    C = IDLE\ndef main(x: A, y: 'A') -> B: pass",
        "a": "print(IDLE)\nclass A: a = IDLE",
        "b": "print(USED)\nclass B: b = USED",
    },
    "nested functions and lambdas": {
        "stage": "from pkg import a\ndef main():\n    def inner(): return (lambda: a.f())()\n    return inner",
        "a": "def f(): return USED\ndef g(): return IDLE",
    },
    "a local name that hides one of the module": {
        "stage": "from pkg import a\nfrom pkg.a import f, g, h, i\n"
        "def main(f, *g):\n    a = h = 1\n    [i for i in a.x]\n    return f(g, a.f, h, lambda i: i.j)",
        "a": "print(USED)\nx = IDLE\ndef f(): return IDLE\ndef g(): return IDLE\ndef h(): return IDLE\n"
        "def i(): return IDLE",
    },
    "a local name that hides nothing elsewhere": {
        "stage": "from pkg.a import f, g, h, i\ndef main():\n    [f for f in f()]\n"
        "    return f, (lambda g: g)(g), C, [i for _ in i()]\n"
        "class C:\n    h = 1\n    def m(self): return h",
        "a": "def f(): return USED\ndef g(): return USED\ndef h(): return USED\ndef i(): return USED",
    },
    "a name in a class is none in its methods": {
        "stage": "from pkg.a import f\nclass C:\n    def f(self): return f()\n    g = f\ndef main(): C()",
        "a": "def f(): return USED",
    },
    "an import in a class": {
        "stage": "class C:\n    from pkg import a\n    from pkg.b import f\ndef main(): return C.a.f() + C().f()",
        "a": "def f(): return USED",
        "b": "def f(): return USED\ndef g(): return IDLE",
    },
    "partial functions and tables of functions": {
        "stage": "from functools import partial\nfrom pkg import a\n"
        "TABLE = {'f': a.f, 'g': partial(a.g, 1), 'h': [lambda: a.h()]}\n"
        "def main(key): return TABLE[key]()",
        "a": "def f(): return USED\ndef g(x): return USED\ndef h(): return USED\ndef i(): return IDLE",
    },
    "a table that is filled elsewhere in its module": {
        "stage": "from pkg.a import TABLE\ndef main(): return TABLE['f']()",
        "a": "TABLE = {}\ndef f(): return USED\ndef g(): return USED\ndef h(): return IDLE\n"
        "TABLE['f'] = f\nTABLE.update(g=g)\nTABLE2 = {}\nUNUSED = [IDLE]",
    },
    "a table that a decorator fills": {
        "stage": "from pkg.a import TABLE\nimport pkg.b\ndef main(): return TABLE['f']()",
        "a": "TABLE = {}\ndef register(f):\n    TABLE[f.__name__] = f\n    return f",
        "b": "from pkg.a import register\n@register\ndef f(): return USED\ndef g(): return IDLE\n@register\n"
        "class C: c = USED",
    },
    "a decorator of another package that is not known to do nothing": {
        "stage": "import pkg.b\ndef main(): pass",
        "b": "import atexit\nfrom functools import cache\n@atexit.register\ndef f(): return USED\n@cache\n"
        "def g(): return IDLE",
    },
    "a decorator in a class that is of the package": {
        "stage": "import pkg.b\ndef main(): pass",
        "b": "from pkg.a import mark\nclass C:\n    @mark\n    def f(): return USED\nclass D:\n    @property\n"
        "    def f(): return IDLE",
        "a": "def mark(f): return USED",
    },
    "implementations of a generic function": {
        "stage": "from functools import singledispatch\n@singledispatch\ndef main(x): return USED\n"
        "@main.register\ndef _(x: int): return USED\ndef other(): return IDLE",
    },
    "effects of a module that is imported for them": {
        "stage": "import pkg.b\ndef main(): return 1",
        "b": "import pkg.c\nfrom pkg.a import f\nX = IDLE\nf(USED)",
        "a": "def f(x): return USED\ndef g(): return IDLE",
        "c": "for x in [USED]:\n    assert x\nwhile USED: break\nY = 1\nY += USED\nwith open(USED): pass\ndel Y\n"
        "Z = IDLE",
    },
    "effects of the packages around a module": {
        "stage": "from pkg.room.b import f\ndef main(): return f()",
        "room/__init__": "print(USED)\nx = IDLE",
        "room/b": "def f(): return USED",
    },
    "a value that a function of the package is called for": {
        "stage": "import pkg.b\ndef main(): pass",
        "b": "import re\nfrom pkg import a\nX = a.f(USED)\nY = re.compile(IDLE)",
        "a": "def f(x): return USED",
    },
    "a class in whose body something is called": {
        "stage": "import pkg.b\ndef main(): pass",
        "b": "class A:\n    print(USED)\nclass B:\n    x = IDLE",
    },
    "a name that is bound twice": {
        "stage": "from pkg.a import X, f\ndef main(): return X, f",
        "a": "X = USED\nX = X + USED\nX, Y = USED, USED\ndef f(): return USED\ndef f(): return USED\nZ = IDLE",
    },
    "a conditional definition": {
        "stage": "from pkg.a import f, g\ndef main(): return f() + g()",
        "a": "import sys\nfrom pkg import b, c\nif sys.platform == USED:\n    def f(): return b.f()\nelse:\n"
        "    f = c.f\n"
        "try:\n    from pkg.d import g\nexcept ImportError as e:\n    g = None",
        "b": "def f(): return USED\ndef g(): return IDLE",
        "c": "def f(): return USED\ndef g(): return IDLE",
        "d": "def f(): return IDLE\ndef g(): return USED",
    },
    "comprehensions, and what := binds in them": {
        "stage": "from pkg import a\nX = [y for z in a.f() if (y := a.g(z)) for w in a.h(z)]\ndef main(): return X, y",
        "a": "def f(): return USED\ndef g(x): return USED\ndef h(x): return USED\ndef i(): return IDLE",
    },
    "match statements": {
        "stage": "from pkg import a\ndef main(x):\n    match x:\n        case a.A(y=a.B) if a.C: return a.D\n"
        "        case [*f]: return f\n"
        "        case {'k': 1, **g}: return g\n        case h: return h",
        "a": "class A: a = USED\nB = USED\nC = USED\nD = USED\nf = g = h = IDLE",
    },
    "a module-level match and with": {
        "stage": "from pkg.a import x, y, z\ndef main(): return x, y, z",
        "a": "match USED:\n    case x: pass\nwith open(USED) as y: pass\nfor z in [USED]: pass\nw = IDLE",
    },
    "a text in an f-string": {
        "stage": "from pkg import a\ndef main(): return f'{a.f()!r:>{a.W}}'",
        "a": "def f(): return USED\nW = USED\nV = IDLE",
    },
    "assignment to an attribute of another module": {
        "stage": "from pkg import a\ndef main():\n    a.X = 1\n    del a.Y",
        "a": "X = USED\nY = USED\nZ = IDLE",
    },
    "async functions, generators and awaits": {
        "stage": "from pkg import a\nasync def main():\n    async with a.f() as x: yield await a.g(x)\n"
        "    async for y in a.h(): pass",
        "a": "async def f(): return USED\nasync def g(x): return USED\nasync def h(): yield USED\n"
        "async def i(): return IDLE",
    },
    "the main program of another module": {
        "stage": "from pkg.a import f\ndef main(): return f()",
        "a": "def f(): return USED\ndef g(): return IDLE\nif __name__ == '__main__':\n    g(IDLE)",
    },
    "texts and comments": {
        "stage": "'''Text.'''\nfrom pkg.a import C\ndef main():\n    '''IDLE'''\n    return C  # IDLE",
        "a": "'''IDLE'''\nclass C:\n    '''IDLE'''\n    x: int = USED\n    '''IDLE'''",
    },
    # What cannot be followed: the whole module counts.
    "everything of a module": {
        "stage": "from pkg.a import *\ndef main(): return f() + b.f()",
        "a": "from pkg import b\ndef f(): return USED\ndef g(): return USED",
        "b": "def f(): return USED",
    },
    "a module as a value": {
        "stage": "from pkg import a\ndef main(name): return getattr(a, name)()",
        "a": "from pkg import b\nfrom pkg.c import g\ndef f(): return USED\nX = USED",
        "b": "def f(): return USED",
        "c": "def f(): return IDLE\ndef g(): return USED",
    },
    "a module in a table": {
        "stage": "from pkg import a, b\nTABLE = [a]\ndef main(): return TABLE[0].f()",
        "a": "def f(): return USED",
        "b": "def f(): return IDLE",
    },
    "a name that a module does not define": {
        "stage": "from pkg.a import x\nfrom pkg import b\ndef main(): return x, b.y",
        "a": "def __getattr__(name): return f(name)\ndef f(x): return USED\nz = USED",
        "b": "def __getattr__(name): return USED",
    },
    "all names of its own module": {
        "stage": "from pkg.a import f, g\nfrom pkg.b import h\ndef main(): return f(), g(), h()",
        "a": "def f(): return globals()['x']\ndef g(): return eval('y')\nx = USED\ny = USED",
        "b": "import sys\ndef h(): return vars(sys.modules[__name__])\nx = USED",
    },
}  # fmt: skip


def written(folder: Path, files: dict[str, str]) -> Code:
    for name, text in files.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Code(folder, "pkg")


def numbered(files: dict[str, str], other: int = -1) -> dict[str, str]:
    """The files with 1 for each mark, and with 2 for the mark of number `other`."""
    marks = iter(range(10**6))
    return {
        name: re.sub(r"\b(USED|IDLE)\b", lambda _: "2" if next(marks) == other else "1", text)
        for name, text in files.items()
    }


@pytest.mark.parametrize("case", CASES)
def test_what_is_used_counts_and_nothing_else(tmp_path: Path, case: str):
    files = CASES[case]
    before = written(tmp_path, numbered(files)).hash("pkg.stage:main")
    marks = [mark for text in files.values() for mark in re.findall(r"\b(?:USED|IDLE)\b", text)]
    assert marks
    for number, mark in enumerate(marks):
        after = written(tmp_path, numbered(files, number)).hash("pkg.stage:main")
        assert (after != before) == (mark == "USED"), numbered(files, number)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from pkg.a import f as g, h", "from pkg.a import h as g, f as h"),
        ("import numpy as g\nfrom numpy import h", "import torch as g\nfrom numpy import h"),
        ("from math import sin as g, h", "from math import cos as g, h"),
        ("from numpy import *\ng, h = 1, 2", "from scipy import *\ng, h = 1, 2"),
        ("from pkg.a import f as g, h\nh = g", "from pkg.a import h as g, f as h\nh = g"),
    ],
)
def test_the_same_names_for_other_things_count(tmp_path: Path, before: str, after: str):
    use, files = "\ndef main(): return g(), h()", {"a": "def f(): return 1\ndef h(): return 2"}
    hashes = {written(tmp_path, {**files, "stage": text + use}).hash("pkg.stage:main") for text in (before, after)}
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("def main(): pass", "def main():\n    '''Text.'''"),
        ("def main(x): return (x)", "def main( x ):\n\n    return x  # why"),
        ("def main(x): return 0.1, 'a'", 'def main(x): return 1e-1, "a"'),
    ],
)
def test_layout_and_notation_do_not_count(tmp_path: Path, text: str, other: str):
    assert written(tmp_path, {"stage": text}).hash("pkg.stage:main") == written(tmp_path, {"stage": other}).hash(
        "pkg.stage:main"
    )


def test_values_that_are_equal_but_of_other_types_count(tmp_path: Path):
    values = ("1", "1.0", "True", "'1'", "b'1'", "1j")
    hashes = {written(tmp_path, {"stage": f"main = {value}"}).hash("pkg.stage:main") for value in values}
    assert len(hashes) == len(values)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("from pkg.b import f\nX = 1", "from pkg.a import f, X"),
        ("from pkg.a.f import g as f", ""),
        ("from pkg.b import f as f\nfrom pkg.b.f import g as h", "from pkg.a.h import f"),
    ],
)
def test_imports_in_a_circle_end(tmp_path: Path, a: str, b: str):
    stage = "from pkg.a import f\ndef main(): f.x()"
    assert "pkg.a:f" in written(tmp_path, {"stage": stage, "a": a, "b": b}).reached("pkg.stage:main")
