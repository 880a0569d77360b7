"""Every command ends in one sentence and the right code, whatever stands at the paths that it is given."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from florilegium import __main__ as program

FINDINGS = {
    "audit": "1 a leak (with --fail-on double",
    "verify": "1 a file that disagrees",
    "check-submission": "1 a fault of the",
}
# Command lines; `missing` does not exist, `file` and `cut.json` hold half a JSON, `junk` no weights.
MISTAKES = [
    "audit pictures/a pictures/b --out file",
    "audit pictures/a pictures/b --out file/below",
    "audit pictures/a pictures/b --out leaks --radius 65",
    "audit missing --out leaks",
    "audit file pictures/a --out leaks",
    "predict missing.safetensors pictures",
    "predict pictures pictures",
    "predict junk.safetensors pictures",
    "predict junk.safetensors missing",
    "export missing.safetensors --to timm",
    "export pictures --to onnx",
    "export junk.safetensors --to timm --out file",
    "export junk.safetensors --to timm --out file/below",
    "start missing",
    "start pictures",
    "evaluate pictures pictures",
    "evaluate junk.safetensors pictures",
    "submit junk.safetensors pictures --annotations cut.json --out results.json",
    "check-submission cut.json --annotations cut.json",
    "check-submission pictures --annotations pictures",
    "check-submission missing.json --annotations missing.json",
    "provenance missing",
    "provenance pictures",
    "explain file",
    "verify missing",
    "verify pictures",
    "reference missing --hardware mine",
    "reference file --hardware mine",
    "recompute",
]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["florilegium", *arguments])
    with pytest.raises(SystemExit) as end:
        program.main()
    return end.value.code


@pytest.mark.parametrize("command", program.COMMANDS)
def test_a_command_says_its_codes(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert run(monkeypatch, command, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert text.count("exit code") == 1
    codes = text[text.index("exit code: 0 ") :]
    finding = FINDINGS.get(command)
    assert (finding or "2 what you can mend") in codes and ("1 " in codes) == bool(finding)
    assert "2 what you can mend, in one sentence" in codes and "3 a fault of florilegium" in codes


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_sentence(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        Path("pictures", name).mkdir(parents=True)
        Image.effect_noise((64, 64), 90).convert("RGB").save(f"pictures/{name}/{name}.png")
    for name in ("file", "cut.json", "junk.safetensors"):
        Path(name).write_text("{")
    assert run(monkeypatch, *line.split()) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert not Path("logs").exists()


def test_a_fault_says_where_its_traceback_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program, "import_module", lambda _: {}["x"])
    assert run(monkeypatch, "verify", "results") == 3
    log = Path("logs", "florilegium-verify.log")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.endswith(f"its traceback is in {log}\n")
    assert "Traceback" in log.read_text()
