"""The line that tells how far a command is: rewritten on a terminal, quiet elsewhere."""

import io

import pytest

from ledger import clock
from tollgate.commands.progress_bar import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_one_line_is_written_anew_and_is_gone_at_the_end() -> None:
    out = Terminal()
    with progress_bar("checked", out=out) as tell:
        for done in range(0, 1_001, 10):
            tell(done, 1_000)
    written = out.getvalue()
    assert "\n" not in written
    shown = [line.strip() for line in written.split("\r")]
    assert any("checked 1,000 of 1,000 events, 100%" in line for line in shown)
    assert shown[-2:] == ["", ""]
    widest = max(map(len, written.split("\r")))
    assert all(len(line) == widest for line in written.split("\r")[-2:-1])


def test_a_terminal_is_left_clean_by_a_failure() -> None:
    out = Terminal()

    def fail() -> None:
        with progress_bar("checked", out=out) as tell:
            tell(5, 10)
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert out.getvalue().endswith("\r")
    assert out.getvalue().split("\r")[-2].strip() == ""


def test_elsewhere_nothing_is_written() -> None:
    out = io.StringIO()
    with progress_bar("checked", out=out) as tell:
        tell(10, 10)
    assert out.getvalue() == ""


def test_or_lines_now_and_then_and_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic_s", lambda: now[0])
    out = io.StringIO()
    with progress_bar("accounts", lines_elsewhere=True, out=out) as tell:
        for done in range(11):
            now[0] += 1
            tell(100 * done, 1_000)
        tell(1_000, 1_000)
    assert out.getvalue().splitlines() == [
        "accounts 400 of 1,000 events, 40%, 80/s, 8 s left",
        "accounts 900 of 1,000 events, 90%, 90/s, 1 s left",
        "accounts 1,000 of 1,000 events, 100%, 91/s, 0 s left",
    ]


def test_an_empty_log_is_done() -> None:
    out = io.StringIO()
    with progress_bar("users", lines_elsewhere=True, out=out) as tell:
        tell(0, 0)
    assert out.getvalue() == "users 0 of 0 events, 100%\n"
