"""Exports and statements as files at the desk: begun, carried out, fetched, and refused."""

import hashlib
import io
import json
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pypdf
import pytest
from beancount import loader

from admin_api.books.jobs import export, statement
from admin_api.books.operations import statement_files
from ledger.export.tables import TABLES
from tests.admin_api.desks import OpenDesk, Servers, at_desk
from tests.admin_api.jobs.test_jobs import carry_out, told
from tests.ledger.export.csv_reading import read as read_csv
from tests.ledger.export.exporting import folded


async def exported(
    desk: OpenDesk,
    servers: Servers,
    **asked: Any,  # noqa: ANN401 - JSON
) -> tuple[dict[str, Any], dict[str, httpx2.Response]]:
    """The job as it ended, and the answers that hold its files."""
    answer = await desk.post("/exports", json=asked)
    assert answer.status_code == 202, answer.text
    job_id = answer.json()["job"]
    assert answer.headers["location"] == f"/api/v1/jobs/{job_id}"
    assert await carry_out(servers, export.KIND, statement.KIND)
    job = await told(desk, job_id)
    files = {
        file["name"]: await desk.get(f"/jobs/{job_id}/files/{file['name']}")
        for file in job["files"]
    }
    return job, files


async def an_account_with_calls(desk: OpenDesk) -> str:
    account_id = await desk.account("Ада Лавлейс")
    key_id, _ = await desk.key(account_id)
    await desk.credit(account_id, "12.5")
    for _ in range(2):
        await desk.settled_call(account_id, key_id)
    return account_id


def file_and_manifest(files: dict[str, httpx2.Response]) -> tuple[str, bytes, dict[str, Any]]:
    (name,) = [one for one in files if not one.endswith(".manifest.json")]
    assert set(files) == {name, f"{name}.manifest.json"}
    content, manifest = files[name].content, files[f"{name}.manifest.json"].json()
    assert manifest["file"] == name
    assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["size_bytes"] == len(content)
    return name, content, manifest


@pytest.mark.parametrize(
    ("file_format", "content_type"),
    [
        ("csv", "text/csv; charset=utf-8"),
        ("jsonl", "application/x-ndjson"),
        ("parquet", "application/vnd.apache.parquet"),
        ("beancount", "text/x-beancount; charset=utf-8"),
    ],
)
def test_an_export_is_a_job_with_a_file_and_its_manifest(
    servers: Servers, file_format: str, content_type: str
) -> None:
    async def check(desk: OpenDesk) -> None:
        await an_account_with_calls(desk)
        job, files = await exported(desk, servers, format=file_format, what="postings")
        assert (job["state"], job["error"]) == ("done", None)
        name, _, manifest = file_and_manifest(files)
        assert job["result"] == {"file": name, "manifest": manifest}
        assert job["done"] == job["total"] == manifest["head"]
        assert files[name].headers["content-type"] == content_type
        assert files[name].headers["content-disposition"] == f'attachment; filename="{name}"'
        said = {one: int(sums["nanos"]) for one, sums in manifest["postings"].items()}
        assert said == folded(servers.dsn)

    at_desk(servers, check)


def test_only_what_was_selected_is_in_it(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await an_account_with_calls(desk)
        await an_account_with_calls(desk)
        topic = "charge.UsageSettled.v1"
        _, files = await exported(
            desk, servers, format="csv", what="events", account=account_id, type=topic
        )
        name, content, manifest = file_and_manifest(files)
        rows = list(read_csv(io.BytesIO(content), TABLES["events"]))
        assert len(rows) == manifest["rows"] == 2
        assert {row[4] for row in rows} == {topic}
        assert {str(row[5]) for row in rows} == {account_id}
        assert account_id in name
        assert manifest["selection"]["account"] == account_id

        position = rows[1][0]
        _, files = await exported(
            desk, servers, format="csv", **{"from": str(position), "to": str(position)}
        )
        _, content, manifest = file_and_manifest(files)
        assert manifest["first_position"] == manifest["last_position"] == position

    at_desk(servers, check)


def test_today_is_a_day_of_the_books_and_not_complete(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        await an_account_with_calls(desk)
        today = datetime.now(UTC).date().isoformat()
        _, files = await exported(desk, servers, format="jsonl", **{"from": today, "to": today})
        _, content, manifest = file_and_manifest(files)
        assert not manifest["is_complete"]
        assert len(content.splitlines()) == manifest["rows"] == manifest["head"]
        _, files = await exported(desk, servers, format="jsonl", to="2020-01-31")
        _, content, manifest = file_and_manifest(files)
        assert (content, manifest["rows"], manifest["is_complete"]) == (b"", 0, True)

    at_desk(servers, check)


def test_beancount_finds_no_fault_in_what_is_fetched(servers: Servers, tmp_path: Path) -> None:
    async def check(desk: OpenDesk) -> None:
        await an_account_with_calls(desk)
        _, files = await exported(desk, servers, format="beancount")
        _, content, _ = file_and_manifest(files)
        path = tmp_path / "books.beancount"
        path.write_bytes(content)
        entries, errors, _ = loader.load_file(str(path))
        assert errors == []
        assert entries

    at_desk(servers, check)


def test_a_statement_as_a_job_and_at_once_is_the_same(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await an_account_with_calls(desk)
        _, files = await exported(desk, servers, format="pdf", account=account_id)
        name, content, manifest = file_and_manifest(files)
        assert name == f"tollgate-statement-{account_id}.pdf"
        assert files[name].headers["content-type"] == "application/pdf"
        answer = await desk.get(f"/accounts/{account_id}/statement.pdf")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["etag"] == f'"{manifest["sha256"]}"'
        assert answer.content == content
        text = pypdf.PdfReader(io.BytesIO(content)).pages[0].extract_text()
        page = (await desk.get(f"/accounts/{account_id}/statement")).json()
        for line in page["lines"]:
            assert f"{float(line['balance']):.9f}" in text
            assert f"position {line['position']}" in text
        assert len(page["lines"]) == manifest["rows"] == 3
        assert "Лавлейс" in text

    at_desk(servers, check)


def test_d15_a_summary_at_once_and_as_a_job_leads_from_opening_to_closing(
    servers: Servers,
) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await an_account_with_calls(desk)
        path = f"/accounts/{account_id}/statement"
        whole = (await desk.get(path)).json()
        for by in ("day", "model", "key"):
            told = (await desk.get(f"{path}/summary?by={by}")).json()
            assert (told["opening"], told["closing"]) == (whole["opening"], whole["closing"])
            assert told["totals"] == whole["totals"]
            changes = sum(Decimal(row["change"]) for row in told["rows"])
            assert changes == sum(Decimal(line["amount"]) for line in whole["lines"])
            assert (told["rows"][-1]["balance"] is not None) == (by == "day")
            answer = await desk.get(f"{path}.pdf?by={by}")
            text = pypdf.PdfReader(io.BytesIO(answer.content)).pages[0].extract_text()
            assert f"Account statement by {by}" in text
            assert "position 1" not in text.partition("Description")[2].partition("Closing")[0]
            _, files = await exported(desk, servers, format="pdf", account=account_id, by=by)
            assert file_and_manifest(files)[1] == answer.content
        labels = [row["label"] for row in told["rows"]]
        assert labels == [*sorted(filter(None, labels)), None]
        for refused in ("summary", "summary?by=hour", "summary?by=day&lines=true"):
            assert (await desk.get(f"{path}/{refused}")).status_code == 422
        assert (await desk.get(f"{path}.pdf?lines=false")).status_code == 422

    at_desk(servers, check)


def test_a_statement_of_several_pages_of_the_books(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_files, "PAGE_LINES_MAX", 2)

    async def check(desk: OpenDesk) -> None:
        account_id = await an_account_with_calls(desk)
        for _ in range(3):
            await desk.credit(account_id, "1")
        answer = await desk.get(f"/accounts/{account_id}/statement.pdf")
        assert answer.status_code == 200
        text = pypdf.PdfReader(io.BytesIO(answer.content)).pages[0].extract_text()
        assert "Credited (4)" in text
        monkeypatch.setattr(statement_files, "LINES_AT_ONCE_MAX", 5)
        answer = await desk.get(f"/accounts/{account_id}/statement.pdf")
        assert answer.status_code == 422
        assert "6 lines" in answer.json()["detail"]

    at_desk(servers, check)


def test_a_key_sees_its_own_statement_only(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        mine, theirs = await desk.account(), await desk.account()
        _, secret = await desk.key(mine)
        await desk.desk.up_to_date()
        answer = await desk.get(f"/accounts/{mine}/statement.pdf", token=secret)
        assert answer.status_code == 200
        answer = await desk.get(f"/accounts/{theirs}/statement.pdf", token=secret)
        assert answer.status_code == 404
        answer = await desk.post("/exports", json={"format": "csv"}, token=secret)
        assert answer.status_code == 401
        auditor = await desk.operator("auditor")
        answer = await desk.post("/exports", json={"format": "csv"}, token=auditor)
        assert answer.status_code == 202

    at_desk(servers, check)


TOMORROW = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"format": "csv", "account": str(uuid4())}, 404, "not_found"),
    ({"format": "pdf", "account": str(uuid4())}, 404, "not_found"),
    ({"format": "xlsx"}, 422, "invalid_selection"),
    ({"format": "csv", "type": "charge.NoSuch.v1"}, 422, "invalid_selection"),
    ({"format": "beancount", "what": "events"}, 422, "invalid_selection"),
    ({"format": "beancount", "type": "charge.UsageSettled.v1"}, 422, "invalid_selection"),
    ({"format": "csv", "from": "3", "to": "2"}, 422, "invalid_selection"),
    ({"format": "csv", "from": "2020-02-01", "to": "2020-01-01"}, 422, "invalid_selection"),
    ({"format": "csv", "from": TOMORROW}, 422, "invalid_input"),
    ({"format": "csv", "to": TOMORROW}, 422, "invalid_input"),
    ({"format": "csv", "to": "9999-01-01T00:00:00Z"}, 422, "invalid_input"),
    ({"format": "csv", "from": "0"}, 422, "invalid_input"),
    ({"format": "csv", "to": "9" * 60}, 422, "invalid_input"),
    ({"format": "csv", "from": "yesterday"}, 422, "invalid_input"),
    ({"format": "csv", "from": "2020-02-30"}, 422, "invalid_input"),
    ({"format": "csv", "from": "2020-02-01T00:00:00"}, 422, "invalid_input"),
    ({"format": "csv", "what": "statement"}, 422, "invalid_input"),
    ({"format": "pdf"}, 422, "invalid_input"),
    ({"format": "pdf", "what": "events"}, 422, "invalid_input"),
    ({"format": "csv", "what": "everything"}, 422, "invalid_input"),
    ({"format": "csv", "since": "1"}, 422, "unknown_field"),
    ({}, 422, "invalid_input"),
]


def test_what_cannot_be_asked_for_begins_nothing(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        for asked, status, code in BAD:
            answer = await desk.post("/exports", json=asked)
            assert (answer.status_code, answer.json()["code"]) == (status, code), (
                asked,
                answer.text,
            )
        path = f"/accounts/{account_id}/statement.pdf"
        for query in ("from=5", f"from={TOMORROW}", f"to={TOMORROW}", "from=x", "form=2020-01-01"):
            answer = await desk.get(f"{path}?{query}")
            assert answer.status_code == 422, query
        assert (await desk.get(f"{path}?from=2020-02-01&to=2020-01-01")).status_code == 422
        assert (await desk.get(f"/accounts/{uuid4()}/statement.pdf")).status_code == 404
        assert (await desk.get("/jobs")).json()["jobs"] == []

    at_desk(servers, check)


def test_parquet_without_its_extra_is_refused_when_it_is_asked_for(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    async def check(desk: OpenDesk) -> None:
        answer = await desk.post("/exports", json={"format": "parquet"})
        assert answer.status_code == 422
        assert answer.json()["code"] == "invalid_selection"
        assert "pip install 'tollgate[parquet]'" in answer.text
        assert (await desk.post("/exports", json={"format": "csv"})).status_code == 202

    at_desk(servers, check)


def test_a_cancelled_export_leaves_no_file(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        answer = await desk.post("/exports", json={"format": "parquet"})
        job_id = answer.json()["job"]
        assert (await desk.ask("DELETE", f"/jobs/{job_id}")).status_code == 200
        assert not await carry_out(servers, export.KIND)
        assert (await told(desk, job_id))["state"] == "cancelled"
        with psycopg.connect(servers.dsn) as connection:
            found = connection.execute("select count(*) from operations.job_file").fetchone()
        assert found == (0,)

    at_desk(servers, check)


def test_what_became_wrong_meanwhile_is_told_by_the_job(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        answer = await desk.post("/exports", json={"format": "csv", "to": "1"})
        job_id = answer.json()["job"]
        with psycopg.connect(servers.dsn) as connection:
            connection.execute(
                "update operations.job set parameters = jsonb_set(parameters, "
                "'{selection,until}', '99999')"
            )
        assert await carry_out(servers, export.KIND)
        job = await told(desk, job_id)
        assert job["state"] == "failed"
        assert "99999" in job["error"]
        assert job["files"] == []
        assert json.dumps(job["result"]) == "null"

    at_desk(servers, check)
