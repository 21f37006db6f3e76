"""T5: the reasons somebody gave for credits and adjustments are there, and are those that were
given.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from admin_api.integrity.reasons import check_reasons
from ledger import vault
from ledger.ids import entity_id
from ledger.streams import user
from ledger.streams.restore import STREAM, RecordRestore, restore_stream_id
from ledger.vault import OWN_KEY, Place, Vault
from tests.admin_api.desks import SECRET, OpenDesk, Servers, at_desk

CREDITS = [
    {"amount": "1", "reason": "paid by hand"},
    {"amount": "2", "reason": "with a number", "reference": "R-1"},
    {"amount": "3", "reason": "by a bank", "source": "payment", "method": "bank"},
    {"amount": "4", "reason": "geschenkt, für Größe", "source": "promotion"},
    {"amount": "5000", "reason": "two had to agree"},
]
ADJUSTMENTS = [
    {"code": "goodwill", "direction": "credit"},
    {"code": "refund", "direction": "debit", "method": "bank"},
    {"code": "refund", "direction": "debit", "method": "manual"},
    {"code": "dispute", "direction": "debit"},
]
WORDS = len(CREDITS) + len(ADJUSTMENTS) + 2
"""And those of a reversal, and of its rejection."""


async def furnish(desk: OpenDesk) -> str:
    """Every kind of reason there is; the account they are about."""
    account = await desk.account()
    granted = [
        (await desk.post(f"/accounts/{account}/credits", json=body)).json() for body in CREDITS
    ]
    second = await desk.approver()
    path = f"/adjustments/{granted[-1]['adjustment']}/approve"
    assert (await desk.post(path, token=second)).status_code == 200
    for wanted in ADJUSTMENTS:
        body = {"account": account, "amount": "1", "reason": "for good reason", **wanted}
        answer = await desk.post("/adjustments", json=body)
        assert answer.status_code == 201, answer.text
    body = {"position": granted[0]["position"], "code": "other", "reason": "a mistake"}
    answer = await desk.post("/reversals", json=body)
    assert answer.status_code == 201, answer.text
    path = f"/adjustments/{answer.json()['id']}/reject"
    answer = await desk.post(path, json={"reason": "it was none"}, token=second)
    assert answer.status_code == 200, answer.text
    return account


def said(servers: Servers, *damages: Callable[[OpenDesk, str], Awaitable[Any]]) -> list[str]:
    """What is found before and, where there is any, after damage."""

    async def do(desk: OpenDesk) -> None:
        account = await furnish(desk)
        assert list(check_reasons(servers.dsn, desk.desk.vault)) == []
        for damage in damages:
            await damage(desk, account)

    at_desk(servers, do)
    found = list(check_reasons(servers.dsn, Vault(SECRET)))
    assert {each.check for each in found} <= {"reason"}
    assert all(each.position is not None and each.scope is not None for each in found)
    return [each.message for each in found]


async def _execute(desk: OpenDesk, statement: str, *parameters: object) -> list[Any]:
    async with desk.desk.pool.connection() as connection:
        cursor = await connection.execute(statement.encode(), parameters)
        return await cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize("field", ["reason", "rejection"])
@pytest.mark.parametrize("kind", ["credit", "adjustment"])
def test_t5_words_that_were_deleted_are_told(servers: Servers, kind: str, field: str) -> None:
    async def delete(desk: OpenDesk, _: str) -> None:
        await _execute(desk, "delete from vault.cell where kind = %s and field = %s", kind, field)

    expected = {
        ("credit", "reason"): 4,
        ("adjustment", "reason"): WORDS - 5,
        ("adjustment", "rejection"): 1,
    }
    told = said(servers, delete)
    assert told == [f"the {field} is not in the vault"] * expected.get((kind, field), 0)


def test_t5_a_data_key_that_was_deleted_is_told_for_every_word(servers: Servers) -> None:
    async def delete(desk: OpenDesk, account: str) -> None:
        await _execute(desk, "delete from vault.data_key where subject = %s", UUID(account))

    assert len(said(servers, delete)) == WORDS


def test_t5_other_words_under_the_same_secret_are_told(servers: Servers) -> None:
    async def replace(desk: OpenDesk, _: str) -> None:
        rows = await _execute(
            desk,
            "select kind, row_id, field, subject from vault.cell "
            "where kind in ('credit', 'adjustment')",
        )
        assert len(rows) == WORDS + 1, "and those of the credit that was proposed instead"
        for row in rows:
            async with desk.desk.pool.connection() as connection:
                await vault.put(connection, desk.desk.vault, Place(*row), "another reason")

    told = said(servers, replace)
    assert len(told) == WORDS
    assert all(message.endswith("is not the one that was given") for message in told)


def test_t5_bytes_that_do_not_open_are_told(servers: Servers) -> None:
    async def spoil(desk: OpenDesk, _: str) -> None:
        await _execute(
            desk,
            "update vault.cell set sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1) "
            "where kind = 'credit'",
        )

    assert said(servers, spoil) == ["the reason in the vault is not the one that was given"] * 4


def test_t5_words_of_somebody_who_was_erased_are_gone_and_that_is_right(servers: Servers) -> None:
    async def erase(desk: OpenDesk, account: str) -> None:
        subject = UUID(account)
        async with desk.desk.pool.connection() as connection:
            await vault.forget(connection, subject)
        stream_id = entity_id()
        for command in (user.Register(subject, "auditor", "test"), user.Erase("test", "so")):
            await desk.desk.handle(user.STREAM, stream_id, command)

    assert said(servers, erase) == []


@pytest.mark.parametrize(("has_vault", "found"), [(True, WORDS), (False, 1)])
def test_t5_what_came_from_a_backup_without_its_vault_is_not_asked_for(
    servers: Servers, *, has_vault: bool, found: int
) -> None:
    """But what was written since is."""

    async def restore(desk: OpenDesk, account: str) -> None:
        head = (await desk.get("/ledger/events?limit=1")).json()["head"]
        command = RecordRestore("0" * 64, "0.3.0", "2026-12-01T00:00:00Z", head, has_vault, "c")
        await desk.desk.handle(STREAM, restore_stream_id(command.sha256), command)
        await desk.post(f"/accounts/{account}/credits", json=CREDITS[0])
        async with desk.desk.pool.connection() as connection:
            await connection.execute(
                "delete from vault.cell where kind in ('credit', 'adjustment')"
            )

    assert len(said(servers, restore)) == found + has_vault


def test_t5_another_secret_is_told_once(servers: Servers) -> None:
    async def do(desk: OpenDesk) -> None:
        await furnish(desk)

    at_desk(servers, do)
    (found,) = check_reasons(servers.dsn, Vault("another secret"))
    assert (found.check, found.scope) == ("reason", "vault")
    with psycopg.connect(servers.dsn, autocommit=True) as connection:
        connection.execute("delete from vault.data_key where subject = %s", (OWN_KEY,))
    assert len(list(check_reasons(servers.dsn, Vault("another secret")))) == WORDS
