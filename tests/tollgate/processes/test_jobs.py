"""Jobs in the whole program: carried out beside it, watched over real HTTP, surviving kills."""

import contextlib
import http.client
import json
import signal
from collections.abc import Iterator
from functools import partial
from typing import Any

import psutil
import psycopg
import pytest

from tests.builders import LawfulLog
from tests.running import Served, served, until

EVENTS = 6_000


@pytest.fixture(scope="module")
def program() -> Iterator[Served]:
    with served() as running:
        with psycopg.connect(running.owner_dsn, autocommit=True) as connection:
            LawfulLog(connection, seed=1).grow(EVENTS)
            # What is still to be folded would write its rows anew under the tests' hands.
            until(lambda: is_folded(connection), 60, "the accounts are as far as the log was")
        yield running


def is_folded(connection: psycopg.Connection) -> bool:
    row = connection.execute(
        "select position >= %s from operations.projection where name = 'accounts' and is_served",
        (EVENTS,),
    ).fetchone()
    return row is not None and bool(row[0])


def start(program: Served, path: str, content: object = None) -> str:
    answer = program.desk.call("POST", path, content)
    assert answer.status == 202, answer.body
    job_id: str = answer.json()["job"]
    return job_id


def job(program: Served, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = program.desk.get(f"/jobs/{job_id}").json()
    return found


def is_finished(program: Served, job_id: str) -> bool:
    return job(program, job_id)["finished_at"] is not None


def job_processes(program: Served) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [
            child
            for child in psutil.Process(program.background_pid).children()
            if "tollgate.processes.job_process" in child.cmdline()
        ]
    return []


def only_process(program: Served) -> psutil.Process | None:
    """The process of a job, once those of earlier ones are gone."""
    processes = job_processes(program)
    return processes[0] if len(processes) == 1 else None


@contextlib.contextmanager
def watching(program: Served, job_id: str) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=60)
    headers = {"authorization": f"Bearer {program.root_token}"}
    with contextlib.closing(connection):
        connection.request("GET", f"/api/v1/jobs/{job_id}/events", headers=headers)
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield response


def events_of(response: http.client.HTTPResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in response:
        if line.startswith(b"event: "):
            name = line[7:].strip().decode()
        elif line.startswith(b"data: "):
            yield name, json.loads(line[6:])


def test_a_comparison_is_watched_to_its_end_over_http(program: Served) -> None:
    job_id = start(program, "/ledger/rebuilds", {"compare_only": True})
    with watching(program, job_id) as response:
        told = list(events_of(response))
    names = [name for name, _ in told]
    assert names == ["progress"] * (len(told) - 1) + ["end"]
    done = [data["done"] for _, data in told]
    assert done == sorted(done)
    last = told[-1][1]
    assert last["state"] == "done", last
    assert last["done"] == last["total"] > EVENTS
    assert last["result"]["is_identical"]
    # How fast it is can only be told of a job that takes longer than two looks at it.
    assert all({"per_second", "seconds_left"} <= set(data) for _, data in told[:-1])


def test_a_divergent_row_is_named_with_its_account_and_event(program: Served) -> None:
    with psycopg.connect(program.app_dsn, autocommit=True) as connection:
        row = connection.execute(
            "select account_id, charged_nanos from projections.accounts "
            "where charged_nanos > 0 limit 1"
        ).fetchone()
        assert row is not None
        account_id = row[0]
        served = connection.execute(
            "select generation from operations.projection where name = 'accounts' and is_served"
        ).fetchone()
        assert served is not None
        # No event of the background's own touches it meanwhile: nobody calls.
        connection.execute(
            f"update view_accounts_{served[0]}.accounts set charged_nanos = 0 "
            "where account_id = %s".encode(),
            (account_id,),
        )
        first = connection.execute(
            "select min(position) from ledger.event where account_id = %s "
            "and topic = 'charge.UsageSettled.v1' and state not like %s",
            (account_id, b'%"charged_nanos":0,%'),
        ).fetchone()
        assert first is not None
    job_id = start(program, "/ledger/rebuilds", {"projections": ["accounts"], "compare_only": True})
    until(lambda: job(program, job_id)["finished_at"], 60, "the comparison")
    (difference,) = job(program, job_id)["result"]["differences"]
    assert difference["account"] == str(account_id)
    assert difference["first_divergent"] == first[0]
    assert difference["columns"] == [
        {"name": "charged_nanos", "served": "0", "replayed": str(row[1])}
    ]
    told = program.tool("ledger", "rebuild", "accounts", "--compare")
    assert told.returncode == 1
    assert f"of account {account_id}: first divergent event: {first[0]}" in told.stdout
    rebuilt = program.tool("ledger", "rebuild", "accounts")
    assert rebuilt.returncode == 0
    assert "events, 100%" in rebuilt.stderr
    told = program.tool("ledger", "rebuild", "accounts", "--compare")
    assert (told.returncode, told.stdout) == (0, "accounts: identical\n")


def test_a_check_over_http_and_on_the_command_line_say_the_same(program: Served) -> None:
    job_id = start(program, "/ledger/checks")
    until(lambda: job(program, job_id)["finished_at"], 120, "the check")
    result = job(program, job_id)["result"]
    told = program.tool("ledger", "fsck", "--json")
    document = json.loads(told.stdout)
    assert told.returncode == 0
    assert (result["is_clean"], document["is_clean"]) == (True, True)
    assert result["findings"] == document["findings"] == []
    assert document["head"] >= EVENTS
    assert told.stderr == ""  # the bar is for terminals


def test_who_leaves_does_not_stop_the_job(program: Served) -> None:
    job_id = start(program, "/ledger/rebuilds", {"projections": ["usage_quarter_hours"]})
    with watching(program, job_id) as response:
        assert next(events_of(response))[0] in ("progress", "end")
    until(lambda: job(program, job_id)["finished_at"], 60, "the rebuild")
    assert job(program, job_id)["state"] == "done"


def test_a_killed_process_and_a_killed_background_leave_the_job_to_the_next(
    program: Served,
) -> None:
    job_id = start(program, "/ledger/checks")
    until(lambda: job(program, job_id)["state"] == "running", 30, "the first attempt")
    process = until(lambda: only_process(program), 20, "the job's process alone")
    process.send_signal(signal.SIGSTOP)  # so that it cannot end before it is killed
    assert job(program, job_id)["state"] == "running"
    process.kill()
    until(lambda: job(program, job_id)["attempts"] == 2, 60, "the second attempt")
    process = until(lambda: only_process(program), 20, "the job's process alone")
    psutil.Process(program.background_pid).kill()
    process.wait(20)  # it goes by itself, with its starter
    until(lambda: job(program, job_id)["finished_at"], 120, "the third attempt")
    done = job(program, job_id)
    assert (done["state"], done["done"]) == ("done", done["total"])
    assert done["result"]["is_clean"]


def test_d12_processes_of_jobs_end_quietly(program: Served) -> None:
    for _ in range(3):
        job_id = start(program, "/ledger/rebuilds", {"projections": ["accounts"]})
        until(partial(is_finished, program, job_id), 60, "the rebuild")
        until(lambda: not job_processes(program), 20, "its process has ended")
    said = program.log.read_text()
    assert "Fatal Python error" not in said
