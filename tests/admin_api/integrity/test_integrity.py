"""Checkpoints, proofs and tiles for anybody; receipts for whose events they are."""

from pathlib import Path
from uuid import UUID

import httpx2
import pytest

from admin_api.integrity import operations as integrity
from ledger.ids import entity_id
from ledger.integrity.checkpoint import parse_checkpoint
from ledger.integrity.entry import parse_entry
from ledger.integrity.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from ledger.integrity.note import parse_note, read_keys, verify_note
from ledger.integrity.proof import Receipt, parse_consistency, parse_receipt
from ledger.integrity.reading import SealedAt
from ledger.integrity.sealing import Sealer
from ledger.integrity.signing import SignerFolder
from tests.admin_api.desks import OpenDesk, Servers, at_desk


async def seal(desk: OpenDesk, folder: Path) -> SealedAt:
    sealer = Sealer(desk.desk.pool, desk.desk.ledger, SignerFolder(folder))
    sealed = await sealer.seal()
    assert sealed is not None
    return sealed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "signer"


def is_whole(receipt: Receipt, leaf: bytes) -> None:
    checkpoint = parse_checkpoint(receipt.checkpoint)
    verify_inclusion(leaf, receipt.index, checkpoint.size, receipt.hashes, checkpoint.root)


def refused(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_before_anything_is_sealed_there_is_nothing_to_prove(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        refused(await desk.get("/ledger/checkpoint", token=None), 404, "not_found")
        refused(await desk.get("/ledger/proof?position=1", token=None), 409, "not_sealed_yet")
        refused(
            await desk.get("/ledger/consistency?from=1&to=2", token=None), 409, "not_sealed_yet"
        )
        refused(await desk.get("/ledger/tile/0/000.p/1", token=None), 404, "not_found")
        refused(await desk.get("/receipts/1.tlog-proof"), 409, "not_sealed_yet")
        assert (await desk.get("/ledger/keys", token=None)).text.startswith("#")

    at_desk(servers, check)


def test_anybody_gets_the_checkpoint_its_keys_and_the_growth_between_two(
    servers: Servers, folder: Path
) -> None:
    async def check(desk: OpenDesk) -> None:
        await desk.account()
        first = await seal(desk, folder)
        await desk.account()
        second = await seal(desk, folder)
        answer = await desk.get("/ledger/checkpoint", token=None)
        assert answer.text == second.sealed.note
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=5"
        keys = read_keys((await desk.get("/ledger/keys", token=None)).text)
        verify_note(parse_note(answer.text), keys)
        old, new = (parse_checkpoint(each.sealed.note) for each in (first, second))
        path = f"/ledger/consistency?from={old.size}&to={new.size}"
        grown = await desk.get(path, token=None)
        assert "immutable" in grown.headers["cache-control"]
        proof = parse_consistency(grown.text)
        verify_consistency((old.size, old.root), (new.size, new.root), proof.hashes)

    at_desk(servers, check)


def test_anybody_gets_the_proof_of_a_hash_and_never_an_event(
    servers: Servers, folder: Path
) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        old = await seal(desk, folder)
        await desk.credit(account_id, "1")
        new = await seal(desk, folder)
        for query, size in (("", new.sealed.size), (f"&size={old.sealed.size}", old.sealed.size)):
            answer = await desk.get(f"/ledger/proof?position=1{query}", token=None)
            receipt = parse_receipt(answer.text)
            assert not receipt.is_entry_shown
            assert parse_checkpoint(receipt.checkpoint).size == size
            is_whole(receipt, receipt.extra or b"")

    at_desk(servers, check)


def test_tiles_are_those_of_the_tree_and_immutable(servers: Servers, folder: Path) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        for _ in range(30):
            await desk.credit(account_id, "1")
        sealed = await seal(desk, folder)
        size = sealed.sealed.size
        answer = await desk.get(f"/ledger/tile/0/000.p/{size}", token=None)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "immutable" in answer.headers["cache-control"]
        frontier = Frontier()
        for place in range(size):
            frontier.append(answer.content[32 * place : 32 * place + 32])
        assert frontier.root() == parse_checkpoint(sealed.sealed.note).root
        for path in (
            f"0/000.p/{size + 1}",
            "0/000",
            "1/000.p/1",
            "0/1",
            "0/entries/000",
            "x/000",
            "0/000.p/0",
        ):
            refused(await desk.get(f"/ledger/tile/{path}", token=None), 404, "not_found")

    at_desk(servers, check)


@pytest.mark.parametrize(
    "path",
    [
        "/ledger/proof",
        "/ledger/proof?position=0",
        "/ledger/proof?position=-1",
        "/ledger/proof?position=x",
        "/ledger/proof?position=99999999999999999999999",
        "/ledger/proof?position=1&size=0",
        "/ledger/proof?position=1&zise=1",
        "/ledger/consistency?from=1",
        "/ledger/consistency?from=2&to=1",
        "/ledger/consistency?from=0&to=1",
        "/ledger/consistency?from=1&from=1&to=2",
        "/ledger/checkpoint?size=1",
    ],
)
def test_questions_that_make_no_sense_are_refused(
    servers: Servers, folder: Path, path: str
) -> None:
    async def check(desk: OpenDesk) -> None:
        await desk.account()
        await seal(desk, folder)
        answer = await desk.get(path, token=None)
        assert answer.status_code == 422, answer.text

    at_desk(servers, check)


def test_what_is_beyond_a_checkpoint_is_refused(servers: Servers, folder: Path) -> None:
    async def check(desk: OpenDesk) -> None:
        await desk.account()
        sealed = await seal(desk, folder)
        size, position = sealed.sealed.size, sealed.position
        for path in (
            f"/ledger/proof?position={position}",
            f"/ledger/proof?position=1&size={position}",
            f"/ledger/consistency?from=1&to={position}",
        ):
            refused(await desk.get(path, token=None), 409, "not_sealed_yet")
        refused(
            await desk.get(f"/ledger/proof?position=1&size={size - 1}", token=None),
            404,
            "not_found",
        )
        await desk.account()
        await seal(desk, folder)
        beyond = f"/ledger/proof?position={size + 1}&size={size}"
        refused(await desk.get(beyond, token=None), 422, "invalid_input")

    at_desk(servers, check)


def test_an_operator_gets_the_receipt_of_every_event_by_position_and_by_id(
    servers: Servers, folder: Path
) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        position = (await desk.credit(account_id, "10")).json()["position"]
        call_id = await desk.settled_call(account_id, key_id)
        await seal(desk, folder)
        answer = await desk.get(f"/receipts/{position}.tlog-proof")
        assert answer.headers["cache-control"] == "no-store"
        receipt = parse_receipt(answer.text)
        entry = parse_entry(receipt.extra or b"")
        assert (entry.position, entry.topic) == (position, "credit.CreditGranted.v1")
        is_whole(receipt, leaf_hash(receipt.extra or b""))
        by_id = await desk.get(f"/receipts/{entry.stream_id}.tlog-proof")
        assert by_id.text == answer.text
        for reference, topic in (
            (f"{call_id}", "charge.UsageSettled.v1"),
            (f"{call_id}:1", "charge.QuotaReserved.v1"),
        ):
            receipt = parse_receipt((await desk.get(f"/receipts/{reference}.tlog-proof")).text)
            assert parse_entry(receipt.extra or b"").topic == topic

    at_desk(servers, check)


def test_a_key_gets_receipts_of_its_own_and_nothing_of_others(
    servers: Servers, folder: Path
) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id, other_id = await desk.account(), await desk.account()
        key_id, key = await desk.key(account_id)
        sibling_id, _ = await desk.key(account_id)
        own = (await desk.credit(account_id, "10")).json()["position"]
        others = (await desk.credit(other_id, "10")).json()["position"]
        call_id = await desk.settled_call(account_id, key_id)
        siblings = await desk.settled_call(account_id, sibling_id)
        await seal(desk, folder)
        shown = parse_receipt((await desk.get(f"/receipts/{own}.tlog-proof", token=key)).text)
        assert parse_entry(shown.extra or b"").topic == "credit.CreditGranted.v1"
        # A settlement names our channel and what it costs us: its owner gets the proof of its hash.
        hashed = parse_receipt((await desk.get(f"/receipts/{call_id}.tlog-proof", token=key)).text)
        assert not hashed.is_entry_shown
        is_whole(hashed, hashed.extra or b"")
        for reference in (others, siblings, 1, entity_id(), f"{call_id}:9", sibling_id):
            answer = await desk.get(f"/receipts/{reference}.tlog-proof", token=key)
            refused(answer, 404, "not_found")
        refused(await desk.get(f"/receipts/{own}.tlog-proof", token=None), 401, "unauthorized")

    at_desk(servers, check)


@pytest.mark.parametrize("reference", ["x", "0", "-1", "1e3", "9" * 25, "1:1", "a" * 59, "%00"])
def test_receipts_of_nothing_are_not_found(servers: Servers, reference: str) -> None:
    async def check(desk: OpenDesk) -> None:
        refused(await desk.get(f"/receipts/{reference}.tlog-proof"), 404, "not_found")

    at_desk(servers, check)


def test_the_account_file_is_the_operations_own(servers: Servers, folder: Path) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        await desk.credit(account_id, "2")
        await seal(desk, folder)
        content = await integrity.read_account_file(desk.desk, UUID(account_id))
        assert content.count(b"\n") == 2 + 2

    at_desk(servers, check)
