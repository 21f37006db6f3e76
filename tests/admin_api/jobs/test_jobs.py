"""Jobs: started, watched, cancelled, taken over; and what they made, fetched."""

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from admin_api.desk import Desk
from admin_api.errors import TooManyJobs
from admin_api.jobs import claims
from admin_api.jobs import operations as store
from admin_api.jobs.contract import JobContext, JobFailed, JobKind
from admin_api.jobs.registry import KINDS
from admin_api.jobs.runner import JobParts, carry_out_next
from ledger.pricing import Multiplier
from ledger.streams import group
from tests.admin_api.desks import OpenDesk, Servers, at_desk, open_desk
from tests.calling import frames_of

LONG_AGO = "update operations.job set heartbeat_at = heartbeat_at - interval '1 minute'"


class Nothing(msgspec.Struct, frozen=True):
    """No parameters, and no result."""


NOTHING = Nothing()


class Steps(msgspec.Struct, frozen=True):
    """How far to count."""

    steps: int


def kind(run: Callable[[JobContext, Any], object], parameters: Any = Nothing) -> JobKind[Any]:  # noqa: ANN401
    return JobKind("test", parameters, "ledger:write", "steps", run)


def parts(servers: Servers, *kinds: JobKind[Any]) -> JobParts:
    def opened() -> Any:  # noqa: ANN401 - a context manager
        return _only_the_desk(servers)

    return JobParts(servers.dsn, servers.redis_url, opened, kinds)


class _only_the_desk:  # noqa: N801 - used as a function
    def __init__(self, servers: Servers) -> None:
        self._opened = open_desk(servers)

    async def __aenter__(self) -> Desk:
        return (await self._opened.__aenter__()).desk

    async def __aexit__(self, *error: Any) -> None:  # noqa: ANN401
        await self._opened.__aexit__(*error)


async def carry_out(servers: Servers, *kinds: JobKind[Any]) -> bool:
    return await asyncio.to_thread(carry_out_next, parts(servers, *kinds), threading.Event())


async def started(desk: OpenDesk, chosen: JobKind[Any], parameters: Any = NOTHING) -> UUID:  # noqa: ANN401
    return await store.start_job(desk.desk, chosen, parameters, "operator:test")


async def told(desk: OpenDesk, job_id: UUID | str) -> dict[str, Any]:
    answer = await desk.get(f"/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_job_is_carried_out_and_tells_how_far_it_is(servers: Servers) -> None:
    def count(job: JobContext, parameters: Steps) -> dict[str, int]:
        for step in range(parameters.steps + 1):
            job.progress(step, parameters.steps, f"step {step}")
        return {"counted": parameters.steps}

    async def check(desk: OpenDesk) -> None:
        counting = kind(count, Steps)
        job_id = await started(desk, counting, Steps(7))
        queued = await told(desk, job_id)
        assert (queued["state"], queued["done"], queued["total"]) == ("queued", 0, None)
        assert await carry_out(servers, counting)
        assert not await carry_out(servers, counting)
        done = await told(desk, job_id)
        assert (done["state"], done["done"], done["total"]) == ("done", 7, 7)
        assert (done["unit"], done["note"]) == ("steps", "step 7")
        assert done["result"] == {"counted": 7}
        assert done["seconds_left"] is None
        listed = (await desk.get("/jobs?state=done&limit=1")).json()
        assert [each["id"] for each in listed["jobs"]] == [str(job_id)] == [listed["next"]]
        earlier = (await desk.get(f"/jobs?before={job_id}")).json()
        assert earlier == {"jobs": [], "next": None}

    at_desk(servers, check)


def test_a_job_never_seems_to_go_backwards(servers: Servers) -> None:
    def wander(job: JobContext, _: Nothing) -> Nothing:
        job.progress(5, 9)
        job.progress(3)
        return Nothing()

    async def check(desk: OpenDesk) -> None:
        wandering = kind(wander)
        job_id = await started(desk, wandering)
        await carry_out(servers, wandering)
        assert ((await told(desk, job_id))["done"], (await told(desk, job_id))["total"]) == (5, 9)

    at_desk(servers, check)


def test_two_runners_never_take_the_same_job(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        ids = {await started(desk, kind(lambda _job, _given: Nothing())) for _ in range(5)}
        with (
            psycopg.connect(servers.dsn) as one,
            psycopg.connect(servers.dsn) as other,  # both in a transaction that stays open
        ):
            taken = [claims.take(each, uuid4(), ["test"]) for each in (one, other, one, other, one)]
            assert claims.take(other, uuid4(), ["test"]) is None
        assert {claim.job_id for claim in taken if claim is not None} == ids

    at_desk(servers, check)


def test_a_dead_runners_job_is_done_again_from_the_beginning(servers: Servers) -> None:
    def write(job: JobContext, _: Nothing) -> Nothing:
        with job.write_file("it.txt", "text/plain") as file:
            file.write(b"whole")
        return Nothing()

    async def check(desk: OpenDesk) -> None:
        writing = kind(write)
        job_id = await started(desk, writing)
        with psycopg.connect(servers.dsn, autocommit=True) as connection:
            dead = claims.take(connection, uuid4(), ["test"])
            assert dead is not None
            claims.beat(connection, dead, claims.Reached(3, 4, "half way"))
            connection.execute(
                "insert into operations.job_file_chunk values (%s, 'it.txt', 0, 'ha')", (job_id,)
            )
            assert not await carry_out(servers, writing)  # it may still live
            connection.execute(LONG_AGO)
            assert await carry_out(servers, writing)
            assert claims.beat(connection, dead, claims.Reached(4, 4, "")) is None
            assert not claims.end(connection, dead, claims.Reached(4, 4, ""), claims.Ending("done"))
        done = await told(desk, job_id)
        assert (done["state"], done["attempts"], done["done"]) == ("done", 2, 0)
        assert (await desk.get(f"/jobs/{job_id}/files/it.txt")).content == b"whole"

    at_desk(servers, check)


def test_a_job_that_kills_its_runners_is_given_up_in_clear_words(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        deadly = kind(lambda _job, _given: Nothing())
        job_id = await started(desk, deadly)
        with psycopg.connect(servers.dsn, autocommit=True) as connection:
            for _ in range(claims.ATTEMPTS_MAX):
                assert claims.take(connection, uuid4(), ["test"]) is not None
                connection.execute(LONG_AGO)
            assert claims.take(connection, uuid4(), ["test"]) is None
        failed = await told(desk, job_id)
        assert failed["state"] == "failed"
        assert failed["error"] == "its process ended 3 times without a word"
        assert failed["finished_at"] is not None

    at_desk(servers, check)


def test_a_runner_that_lost_its_claim_stops_and_changes_nothing(servers: Servers) -> None:
    running, lost = threading.Event(), threading.Event()

    def work(job: JobContext, _: Nothing) -> Nothing:
        running.set()
        while not job.is_cancelled():
            lost.wait(0.01)
        lost.set()
        job.progress(1)
        raise AssertionError("it goes on")

    async def check(desk: OpenDesk) -> None:
        working = kind(work)
        job_id = await started(desk, working)
        carrying = asyncio.create_task(carry_out(servers, working))
        await until(running.is_set)
        with psycopg.connect(servers.dsn, autocommit=True) as connection:
            connection.execute(LONG_AGO)
            thief = claims.take(connection, uuid4(), ["test"])
        # Between the two the first one may have been heard of; then nobody can take it.
        if thief is None:
            with psycopg.connect(servers.dsn, autocommit=True) as connection:
                connection.execute("update operations.job set runner = %s", (uuid4(),))
        await carrying
        assert lost.is_set()
        assert (await told(desk, job_id))["state"] == "running"

    at_desk(servers, check)


def test_cancelling(servers: Servers) -> None:
    running = threading.Event()

    def work(job: JobContext, _: Nothing) -> Nothing:
        with job.write_file("half.txt", "text/plain") as file:
            file.write(b"half")
            running.set()
            while True:
                job.progress(1, 2)

    async def check(desk: OpenDesk) -> None:
        working = kind(work)
        first, second = await started(desk, working), await started(desk, working)
        answer = await desk.ask("DELETE", f"/jobs/{second}")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        carrying = asyncio.create_task(carry_out(servers, working))
        await until(running.is_set)
        answer = await desk.ask("DELETE", f"/jobs/{first}")
        assert answer.json()["is_cancel_requested"]
        await carrying
        cancelled = await told(desk, first)
        assert (cancelled["state"], cancelled["error"]) == ("cancelled", None)
        assert cancelled["files"] == []
        assert (await desk.get(f"/jobs/{first}/files/half.txt")).status_code == 404
        assert not await carry_out(servers, working)
        again = await desk.ask("DELETE", f"/jobs/{first}")
        assert (again.status_code, again.json()["code"]) == (409, "not_allowed_now")
        assert (await desk.ask("DELETE", f"/jobs/{uuid4()}")).status_code == 404

    at_desk(servers, check)


def test_a_process_that_must_end_gives_its_job_back(servers: Servers) -> None:
    running, stopping = threading.Event(), threading.Event()

    def work(job: JobContext, _: Nothing) -> Nothing:
        running.set()
        while True:
            job.progress(1)

    async def check(desk: OpenDesk) -> None:
        working = kind(work)
        job_id = await started(desk, working)
        given = parts(servers, working)
        carrying = asyncio.create_task(asyncio.to_thread(carry_out_next, given, stopping))
        await until(running.is_set)
        stopping.set()
        assert await carrying
        back = await told(desk, job_id)
        assert (back["state"], back["attempts"]) == ("queued", 0)

    at_desk(servers, check)


def test_what_goes_wrong_is_told_without_secrets(servers: Servers) -> None:
    def refuse(_job: JobContext, _: Nothing) -> Nothing:
        raise JobFailed("there is no such book")

    def stumble(_job: JobContext, _: Nothing) -> Nothing:
        raise RuntimeError("sk-canary-0123456789")

    async def check(desk: OpenDesk) -> None:
        for run, error in (
            (refuse, "there is no such book"),
            (stumble, "this should not have happened (RuntimeError)"),
        ):
            job_id = await started(desk, kind(run))
            await carry_out(servers, kind(run))
            failed = await told(desk, job_id)
            assert (failed["state"], failed["error"]) == ("failed", error)
        odd = await started(desk, kind(refuse))
        await carry_out(servers, kind(refuse, Steps))  # another release's parameters
        assert "steps" in (await told(desk, odd))["error"]

    at_desk(servers, check)


def test_a_job_can_work_at_a_desk(servers: Servers) -> None:
    async def set_group(desk: Desk) -> int:
        command = group.SetGroup("vip", Multiplier(1, 2), "job")
        appended = await desk.handle(group.STREAM, group.group_stream_id("vip"), command)
        assert appended is not None
        return appended.positions[0]

    def work(job: JobContext, _: Nothing) -> dict[str, int]:
        return {"position": job.at_desk(set_group)}

    async def check(desk: OpenDesk) -> None:
        job_id = await started(desk, kind(work))
        await carry_out(servers, kind(work))
        position = (await told(desk, job_id))["result"]["position"]
        events = (await desk.get("/ledger/events?type=group.GroupSet.v1")).json()["events"]
        assert [event["position"] for event in events] == [position]

    at_desk(servers, check)


@pytest.mark.parametrize("size", [0, 1, 2**20, 3 * 2**20 + 17])
def test_a_file_comes_back_byte_for_byte(servers: Servers, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)

    def write(job: JobContext, _: Nothing) -> Nothing:
        with job.write_file("made.bin", "application/octet-stream") as file:
            for start in range(0, size, 700_001):
                file.write(memoryview(content)[start : min(size, start + 700_001)])
            assert file.tell() == size
        return Nothing()

    async def check(desk: OpenDesk) -> None:
        job_id = await started(desk, kind(write))
        await carry_out(servers, kind(write))
        (file,) = (await told(desk, job_id))["files"]
        assert file["digest"] == hashlib.sha256(content[:size]).hexdigest()
        answer = await desk.get(f"/jobs/{job_id}/files/made.bin")
        assert answer.content == content[:size]
        assert answer.headers["content-type"] == file["content_type"]
        assert int(answer.headers["content-length"]) == size == file["size_bytes"]
        assert 'filename="made.bin"' in answer.headers["content-disposition"]
        with psycopg.connect(servers.dsn) as connection:
            row = connection.execute(
                "select max(octet_length(content)) from operations.job_file_chunk"
            ).fetchone()
        assert row is not None
        assert (row[0] or 0) <= 2**20

    at_desk(servers, check)


def test_a_full_queue_takes_no_more(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        waiting = kind(lambda _job, _given: Nothing())
        for _ in range(store.UNFINISHED_MAX):
            await started(desk, waiting)
        with pytest.raises(TooManyJobs):
            await started(desk, waiting)
        answer = await desk.post("/ledger/checks")
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_jobs")

    at_desk(servers, check)


def test_old_jobs_are_forgotten_with_their_files_and_waiting_ones_are_not(
    servers: Servers,
) -> None:
    def write(job: JobContext, _: Nothing) -> Nothing:
        with job.write_file("it.txt", "text/plain") as file:
            file.write(b"it")
        return Nothing()

    async def check(desk: OpenDesk) -> None:
        await started(desk, kind(write))
        await carry_out(servers, kind(write))
        waiting = await started(desk, kind(write))
        async with desk.desk.pool.connection() as connection:
            assert await claims.remove_old(connection) == 0
            await connection.execute(
                "update operations.job set created_at = created_at - interval '1 year',"
                " finished_at = finished_at - interval '1 year'"
            )
            assert await claims.remove_old(connection) == 1
            for table in ("job_file", "job_file_chunk"):
                cursor = await connection.execute(f"select from operations.{table}".encode())
                assert cursor.rowcount == 0
        listed = (await desk.get("/jobs")).json()["jobs"]
        assert [each["id"] for each in listed] == [str(waiting)]

    at_desk(servers, check)


def test_server_sent_events_tell_every_step_and_the_end(servers: Servers) -> None:
    seen = threading.Semaphore(0)

    def count(job: JobContext, _: Nothing) -> Nothing:
        for step in range(3):
            job.progress(step, 3)
            assert seen.acquire(timeout=20)
        job.progress(3, 3)
        return Nothing()

    async def check(desk: OpenDesk) -> None:
        job_id = await started(desk, kind(count))
        carrying = asyncio.create_task(carry_out(servers, kind(count)))

        async def let_go_on() -> None:
            for step in range(3):
                while (await told(desk, job_id))["total"] is None or (await told(desk, job_id))[
                    "done"
                ] < step:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.6)  # longer than between two looks
                seen.release()

        going_on = asyncio.create_task(let_go_on())
        answer = await desk.get(f"/jobs/{job_id}/events")
        await carrying
        await going_on
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        names = [line for line in answer.text.splitlines() if line.startswith("event: ")]
        assert names == ["event: progress"] * (len(names) - 1) + ["event: end"]
        data = [
            json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")
        ]
        done = [each["done"] for each in data]
        assert done == sorted(done)
        assert {0, 1, 2, 3} <= set(done)
        assert (data[-1]["state"], data[-1]["done"], data[-1]["total"]) == ("done", 3, 3)

    at_desk(servers, check)


def test_watching_ends_when_the_process_is_to_end(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        job_id = await started(desk, kind(lambda _job, _given: Nothing()))
        watching = asyncio.create_task(desk.get(f"/jobs/{job_id}/events"))
        await asyncio.sleep(0.1)
        desk.desk.closing.set()
        answer = await asyncio.wait_for(watching, 20)
        # Whether the watch had begun by then is for the clock to say.
        assert len(frames_of(answer.content.replace(b"event: progress\n", b""))) <= 1
        assert b"event: end" not in answer.content

    at_desk(servers, check)


def test_who_may_start_and_cancel(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        auditor, finance = await desk.operator("auditor"), await desk.operator("finance")
        refused = await desk.post("/ledger/rebuilds", json={}, token=auditor)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
        own = await desk.post("/ledger/rebuilds", json={"compare_only": True}, token=auditor)
        assert own.status_code == 202
        assert own.headers["location"] == f"/api/v1/jobs/{own.json()['job']}"
        others = await desk.post("/ledger/rebuilds", json={}, token=finance)
        path = f"/jobs/{others.json()['job']}"
        assert (await desk.get(path, token=auditor)).json()["kind"] == "rebuild"
        assert (await desk.ask("DELETE", path, token=auditor)).status_code == 403
        path = f"/jobs/{own.json()['job']}"
        assert (await desk.ask("DELETE", path, token=auditor)).status_code == 200
        unknown = await desk.post("/ledger/rebuilds", json={"projections": ["x"]})
        assert (unknown.status_code, unknown.json()["code"]) == (422, "invalid_input")

    at_desk(servers, check)


def test_every_kind_is_registered_once_and_says_what_it_counts() -> None:
    assert len({each.name for each in KINDS}) == len(KINDS)
    assert all(each.unit for each in KINDS)
