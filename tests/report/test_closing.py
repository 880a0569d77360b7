"""The last lines of a run."""

from pathlib import Path

from florilegium.report.closing import closing
from tests.helpers.page import Results


def test_ten_lines_say_where_to_look_and_what_was_found(results: Results, tmp_path: Path) -> None:
    claims = (results[0] / "flowers" / "claims.csv").read_bytes()
    (tmp_path / "claims.csv").write_bytes(claims)
    lines = closing(tmp_path, {"flowers": "Study 1: flowers", "norms": "Study 3"})
    assert len(lines) <= 10 and lines[0] == "Where to look:"
    assert lines[1] == f"  {tmp_path.as_posix()}/report.html: everything on one page"
    assert "5 claims: 2 supported, 2 refuted, 1 not run" in lines[2]
    assert lines[-3].startswith(
        "  1. Supported: Transfer <b>helps</b>. Study 1: flowers. Claimed: higher; ours: +26.0 "
    )
    assert [line[:5] for line in lines[-2:]] == ["  2. ", "  3. "]


def test_without_a_verdict_it_says_where_to_look(results: Results, tmp_path: Path) -> None:
    header = (results[0] / "flowers" / "claims.csv").read_text("utf-8").splitlines()[0]
    (tmp_path / "claims.csv").write_text(header + "\n")
    lines = closing(tmp_path, {"own": "My study"})
    assert len(lines) == 5 and "no claims" in lines[2] and "tables and figures of own" in lines[3]
