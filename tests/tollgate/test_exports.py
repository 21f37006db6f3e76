"""`tollgate ledger export` and `tollgate ledger statement --pdf`, on real servers."""

import json
import sys
from pathlib import Path

import pypdf
import pytest
from beancount import loader

from tests.ledger.export.exporting import folded
from tests.servers import FreshDatabase
from tests.tollgate.test_cli import Tool


@pytest.fixture
def tool(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    database: FreshDatabase,
    redis_url: str,
) -> Tool:
    """The command on a database of its own."""
    made = Tool(tmp_path / "data", capsys, monkeypatch)
    made.use(database, redis_url)
    return made


def test_every_format_is_written_and_checked(
    tool: Tool, tmp_path: Path, database: FreshDatabase
) -> None:
    account = tool.furnish()
    for file_format in ("csv", "jsonl", "parquet", "beancount"):
        path = tmp_path / f"books.{file_format}"
        asked = ["ledger", "export", "--format", file_format, "--out", str(path)]
        said = tool.ok(*asked, "--what", "postings")
        assert "as of position" in said
        manifest = json.loads((tmp_path / f"{path.name}.manifest.json").read_text())
        sums = {name: int(one["nanos"]) for name, one in manifest["postings"].items()}
        assert sums == folded(database.app_dsn)
        assert tool.run("ledger", "export", "--check", str(path)) == 0
        assert tool.run(*asked, "--what", "postings") == 2
        assert "--force" in tool.complained
        tool.ok(*asked, "--what", "postings", "--force", "--account", account)
        assert tool.run("ledger", "export", "--check", str(path)) == 0
        path.write_bytes(path.read_bytes() + b" ")
        assert tool.run("ledger", "export", "--check", str(path)) == 1
        assert "SHA-256" in tool.complained
    _, errors, _ = loader.load_file(str(tmp_path / "books.beancount"))
    assert errors == []


def test_parquet_without_its_extra_is_refused_in_one_line(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool.furnish()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = tmp_path / "books.parquet"
    assert tool.run("ledger", "export", "--format", "parquet", "--out", str(path)) == 2
    assert tool.complained == (
        "tollgate: parquet needs pyarrow, which is not installed: pip install 'tollgate[parquet]'\n"
    )
    assert not path.exists()


def test_a_statement_is_a_pdf_with_a_manifest(tool: Tool, tmp_path: Path) -> None:
    account = tool.furnish()
    path = tmp_path / "statement.pdf"
    asked = ["ledger", "statement", account, "--pdf", str(path)]
    assert "1 rows" in tool.ok(*asked)
    (page,) = pypdf.PdfReader(path).pages
    text = page.extract_text()
    assert "Größe & Co" in text
    assert text.count("12.500000000") >= 4
    assert tool.run("ledger", "export", "--check", str(path)) == 0
    assert tool.run(*asked) == 2
    before = path.read_bytes()
    position = json.loads((tmp_path / "statement.pdf.manifest.json").read_text())["as_of_position"]
    tool.ok("credit", "add", account, "1", "--source", "manual", "--reason", "later")
    tool.ok(*asked, "--as-of", str(position), "--force")
    assert pypdf.PdfReader(path).pages[0].extract_text().replace(" ", "") != ""
    assert path.read_bytes() == before  # D15: as of then it is what it was
    assert tool.ok(*asked, "--as-of", str(position), "--force", "--by", "model", "--lines")
    assert "by model" in pypdf.PdfReader(path).pages[0].extract_text()
    manifest = json.loads((tmp_path / "statement.pdf.manifest.json").read_text())
    assert (manifest["as_of_position"], manifest["rows"]) == (position, 2)


def test_what_cannot_be_done_is_one_line_and_writes_nothing(tool: Tool, tmp_path: Path) -> None:
    account = tool.furnish()
    out = tmp_path / "exports"
    out.mkdir()
    nobody = "00000000-0000-4000-8000-000000000000"
    path = str(out / "x.csv")
    export = ["ledger", "export", "--format", "csv", "--out", path]
    for code, arguments in (
        (2, ["ledger", "export"]),
        (2, ["ledger", "export", "--format", "csv"]),
        (2, [*export, "--account", "Ada"]),
        (1, [*export, "--account", nobody]),
        (2, [*export, "--type", "nothing.Happened.v1"]),
        (2, [*export, "--from", "9", "--to", "2"]),
        (2, [*export, "--from", "2999-01-01"]),
        (2, [*export, "--to", "99999"]),
        (2, [*export, "--from", "yesterday"]),
        (2, ["ledger", "export", "--format", "beancount", "--out", path, "--what", "events"]),
        (2, ["ledger", "export", "--format", "csv", "--out", str(out)]),
        (2, ["ledger", "export", "--format", "csv", "--out", str(out / "no" / "x.csv")]),
        (1, ["ledger", "export", "--check", path]),
        (1, ["ledger", "statement", nobody, "--pdf", path]),
        (2, ["ledger", "statement", account, "--pdf", str(out / "no" / "x.pdf")]),
        (2, ["ledger", "statement", account, "--pdf", path, "--from", "2999-01-01"]),
    ):
        assert tool.run(*arguments) == code, (arguments, tool.said, tool.complained)
        assert tool.complained.count("\n") == 1, tool.complained
        assert list(out.iterdir()) == []
