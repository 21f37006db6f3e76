"""Offline verification of files, and everything that is done to them so that it must not hold."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from ledger.codec import encode
from ledger.export.formats.registry import FORMATS
from ledger.export.selection import Selection
from ledger.export.writing import export
from ledger.integrity import reading
from ledger.integrity.account_file import account_file
from ledger.integrity.checkpoint import Checkpoint
from ledger.integrity.entry import Entry
from ledger.integrity.log_file import read_log
from ledger.integrity.merkle import Frontier
from ledger.integrity.note import SigningKey, VerifierKey
from ledger.integrity.proof import Receipt
from ledger.integrity.sealing import Sealer, introduce
from ledger.integrity.signer import Signer
from ledger.integrity.verdict import CannotVerify, Verdict
from ledger.integrity.verify import first_bad_position, verify_files
from ledger.streams import seal
from ledger.streams.credit import CreditGranted
from ledger.streams.seal import CheckpointSealed, IntroduceKey
from tests.ledger.integrity.sealed_logs import SealedLog

Lines = list[bytes]


@pytest.fixture
def keys(sealed_log: SealedLog) -> list[VerifierKey]:
    introduced = sealed_log.read(reading.read_introduced)
    return [VerifierKey.parse(event.verifier) for _, event in introduced]


@pytest.fixture
def lines(sealed_log: SealedLog) -> Lines:
    """The whole log, as `ledger export` writes it."""
    return exported(sealed_log)


def exported(log: SealedLog) -> Lines:
    file = io.BytesIO()
    selection = Selection(what="events")
    dsn = log.database.app_dsn
    export(dsn, selection, FORMATS["jsonl"], file, "log.jsonl", lambda _done, _total: None)
    return file.getvalue().splitlines(keepends=True)


def notes(log: SealedLog) -> list[str]:
    rows = log.connection.execute(
        "select state from ledger.event where topic = %s order by position",
        (CheckpointSealed.TOPIC,),
    ).fetchall()
    return [msgspec.json.decode(row[0])["note"] for row in rows]


class Desk:
    """A folder with files, and whom to believe."""

    def __init__(self, folder: Path, keys: list[VerifierKey]) -> None:
        self._folder = folder
        self._keys = keys

    def put(self, name: str, content: str | bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def verdicts(self, *paths: Path, event: bytes | None = None) -> list[Verdict]:
        return verify_files(list(paths), self._keys, event)

    def log(self, lines: Lines, *others: Path) -> Verdict:
        return self.verdicts(self.put("log.jsonl", b"".join(lines)), *others)[0]


@pytest.fixture
def desk(tmp_path: Path, keys: list[VerifierKey]) -> Desk:
    return Desk(tmp_path, keys)


def other_letter(letter: str) -> str:
    return "B" if letter != "B" else "C"


def checks(verdict: Verdict) -> set[str]:
    return {problem.check for problem in verdict.problems}


# ---------------------------------------------------------------------- a whole log


def test_a_whole_log_with_its_seals_and_old_checkpoints_is_good(
    desk: Desk, lines: Lines, sealed_log: SealedLog
) -> None:
    given = [desk.put(f"{n}.checkpoint", note) for n, note in enumerate(notes(sealed_log))]
    verdicts = desk.verdicts(desk.put("log.jsonl", b"".join(lines)), *given)
    assert [verdict.problems for verdict in verdicts] == [[], [], [], []]
    log = verdicts[0]
    frontier = Frontier()
    for leaf in sealed_log.leaves():
        frontier.append(leaf)
    assert log.facts["root"] == frontier.root().hex()
    assert log.facts["size"] == sealed_log.head
    assert log.facts["seals"] == 3


def changed(lines: Lines, at: int, /, **fields: Any) -> Lines:  # noqa: ANN401
    """A log whose event has other fields, and a leaf that fits if it is not given."""
    line = msgspec.json.decode(lines[at - 1])
    raw = msgspec.json.decode(lines[at - 1], type=dict[str, msgspec.Raw])
    line = {**line, **fields}
    line["state"] = msgspec.Raw(fields.get("state", bytes(raw["state"])))
    line["leaf"] = fitting(line)
    return [*lines[: at - 1], msgspec.json.encode(line) + b"\n", *lines[at:]]


def fitting(line: dict[str, Any]) -> str:
    ((entry, _),) = read_log([msgspec.json.encode(line)])
    return entry.leaf().hex()


def state_of(lines: Lines, position: int) -> bytes:
    decoded = msgspec.json.decode(lines[position - 1], type=dict[str, msgspec.Raw])
    return bytes(decoded["state"])


def find(lines: Lines, topic: str, after: int = 0) -> int:
    """The position of the first such event after another."""
    for number, line in enumerate(lines, 1):
        if number > after and msgspec.json.decode(line)["topic"] == topic:
            return number
    raise AssertionError(topic)


def test_each_bit_of_an_event_counts(desk: Desk, lines: Lines) -> None:
    position = min(range(1, 200), key=lambda number: len(lines[number - 1]))
    line = lines[position - 1]
    start = line.index(b'"state":') + len(b'"state":')
    for place in range(start, line.index(b',"leaf"')):
        for bit in range(8):
            turned = bytearray(line)
            turned[place] ^= 1 << bit
            if b"\n" in turned[:-1]:
                continue  # two lines now: another mutation
            forged = [*lines[: position - 1], bytes(turned), *lines[position:]]
            verdict = desk.log(forged[: position + 5])
            assert verdict.first_bad_position == position, (place, bit)


def test_each_bit_of_the_place_of_an_event_counts(desk: Desk, lines: Lines) -> None:
    """Its ids, numbers and time are hashed as well, and so is which leaf the file says it has."""
    position = 40
    line = lines[position - 1]
    outside = [*range(line.index(b'"state":')), *range(line.index(b',"leaf"'), len(line) - 1)]
    for place in outside:
        turned = bytearray(line)
        turned[place] ^= 1
        verdict = desk.log([*lines[: position - 1], bytes(turned), *lines[position : position + 5]])
        assert verdict.problems, place
        first = verdict.first_bad_position
        assert first in (position, None) or first in (position + 1, int_in(bytes(turned))), place


def int_in(line: bytes) -> int:
    try:
        return int(msgspec.json.decode(line)["position"])
    except (msgspec.MsgspecError, KeyError, ValueError, UnicodeDecodeError):
        return 0


MUTATIONS: list[tuple[str, int, Callable[[Lines], Lines]]] = [
    ("one is gone", 70, lambda lines: [*lines[:69], *lines[70:]]),
    ("two are gone", 70, lambda lines: [*lines[:69], *lines[71:]]),
    ("the first is gone", 1, lambda lines: lines[1:]),
    ("two are swapped", 80, lambda lines: [*lines[:79], lines[80], lines[79], *lines[81:]]),
    ("one is there twice", 90, lambda lines: [*lines[:90], lines[89], *lines[90:]]),
    (
        "one is in another's place",
        91,
        lambda lines: [*lines[:90], *changed(lines, 90, position=91)[89:90], *lines[91:]],
    ),
    ("a line of nothing", 33, lambda lines: [*lines[:32], b"{}\n", *lines[33:]]),
    (
        "a number of its account is another",
        60,
        lambda lines: changed(lines, 60, account_id=str(UUID(int=7)), account_seq=2),
    ),
    ("it was recorded earlier", 61, lambda lines: changed(lines, 61, recorded_at=EARLY)),
    ("its version is another", 62, lambda lines: changed(lines, 62, version=9)),
    ("it is of a type of nowhere", 63, lambda lines: changed(lines, 63, topic="x.Y.v1")),
]
EARLY = "2001-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("position", "mutate"), [each[1:] for each in MUTATIONS], ids=[each[0] for each in MUTATIONS]
)
def test_a_log_that_was_changed_is_not_good_and_the_position_is_named(
    desk: Desk, lines: Lines, position: int, mutate: Callable[[Lines], Lines]
) -> None:
    verdict = desk.log(mutate(lines))
    assert verdict.first_bad_position == position
    assert "root" in checks(verdict) or "line" in checks(verdict)


def test_a_forgery_that_fits_breaks_the_next_seal(desk: Desk, lines: Lines) -> None:
    """The event decodes, its leaf fits, the rules hold: only the root gives it away."""
    seals = [n for n, line in enumerate(lines, 1) if CheckpointSealed.TOPIC.encode() in line]
    position = find(lines, "channel.ChannelAdded.v1")
    state = state_of(lines, position).replace(b"upstream.invalid", b"upstream.example")
    verdict = desk.log(changed(lines, position, state=state))
    size = msgspec.json.decode(lines[seals[0] - 1])["state"]["size"]
    assert verdict.first_bad_position == 1 <= position
    assert f"something between 1 and {size} was changed" in verdict.problems[0].message
    assert checks(verdict) == {"root"}


def test_the_rules_of_the_ledger_are_replayed(desk: Desk, lines: Lines) -> None:
    settled = find(lines, "charge.UsageSettled.v1")
    state = msgspec.json.decode(state_of(lines, settled))
    dearer = msgspec.json.encode({**state, "charged_nanos": state["charged_nanos"] + 1})
    verdict = desk.log(changed(lines, settled, state=dearer))
    assert "amount" in checks(verdict)
    assert {p.position for p in verdict.problems if p.check == "amount"} == {settled}
    credit = find(lines, CreditGranted.TOPIC, after=150)
    huge = msgspec.json.decode(state_of(lines, credit)) | {"account_id": str(UUID(int=7))}
    verdict = desk.log(changed(lines, credit, state=msgspec.json.encode(huge)))
    assert ("account", credit) in {(p.check, p.position) for p in verdict.problems}


def test_a_truncated_log_and_an_older_copy_contradict_a_checkpoint(
    desk: Desk, lines: Lines, sealed_log: SealedLog
) -> None:
    last = desk.put("last.checkpoint", notes(sealed_log)[-1])
    for length in (0, 1, 100, len(lines) - 10):
        if not length:
            continue
        verdict = desk.log(lines[:length], last)
        assert checks(verdict) == {"truncated"} | (checks(verdict) & {"trial_balance"})
        assert verdict.first_bad_position == length + 1
    assert desk.log(lines[:-1], last).is_good  # what came after the checkpoint is not its affair


def test_a_forked_history_contradicts_what_was_signed_of_the_other(
    desk: Desk, lines: Lines, sealed_log: SealedLog
) -> None:
    sizes = [msgspec.json.decode(line)["state"]["size"] for line in lines if b'"seal.Chec' in line]
    later = msgspec.json.decode(lines[-1])["recorded_at"]
    fork = lines[: sizes[0]]
    while len(fork) < sizes[1]:
        position = len(fork) + 1
        donor = changed(lines, position, recorded_at=later)
        fork.append(donor[position - 1])
    old, new = (desk.put(f"{n}.checkpoint", notes(sealed_log)[n]) for n in (0, 1))
    assert desk.log(fork, old).is_good
    verdict = desk.log(fork, old, new)
    assert checks(verdict) == {"root"}
    assert verdict.first_bad_position == sizes[0] + 1


def test_seals_under_keys_that_nobody_trusts_are_not_good(lines: Lines, tmp_path: Path) -> None:
    stranger = SigningKey("tollgate.invalid/log/other", bytes(32)).verifier
    verdict = Desk(tmp_path, [stranger]).log(lines)
    assert checks(verdict) == {"signature"}
    assert len(verdict.problems) == 3


def test_another_logs_checkpoint_is_not_mistaken_for_ours(
    lines: Lines, keys: list[VerifierKey], tmp_path: Path
) -> None:
    key = SigningKey("tollgate.invalid/log/other", bytes(32))
    note = key.sign(Checkpoint(key.verifier.name, 10, bytes(32)).text())
    both = Desk(tmp_path, [*keys, key.verifier])
    verdict = both.log(lines, both.put("other.checkpoint", note))
    assert checks(verdict) == {"origin"}


# ---------------------------------------------------------------------- receipts


def receipt(log: SealedLog, position: int, *, is_shown: bool = True) -> str:
    async def read(connection: Any) -> str:  # noqa: ANN401
        entry = await reading.require_entry(connection, position)
        return (await reading.read_receipt(connection, entry, is_shown=is_shown)).text()

    return log.read(read)


def test_receipts_of_all_kinds_are_good(desk: Desk, sealed_log: SealedLog) -> None:
    for position in (1, 2, 255, 256, 257, 500):
        path = desk.put("one.tlog-proof", receipt(sealed_log, position))
        (verdict,) = desk.verdicts(path)
        assert verdict.is_good, verdict.problems
        assert verdict.facts["position"] == position
        assert str(verdict.facts["topic"]) in verdict.says
        hashed = desk.put("two.tlog-proof", receipt(sealed_log, position, is_shown=False))
        (verdict,) = desk.verdicts(hashed)
        assert verdict.is_good
        assert "not shown" in verdict.says
        entry = sealed_log.read(lambda c, p=position: reading.require_entry(c, p))  # type: ignore[misc]
        (verdict,) = desk.verdicts(hashed, event=entry.to_bytes())
        assert verdict.is_good
        assert verdict.facts["topic"] == entry.topic


def test_each_bit_of_a_receipts_event_counts(desk: Desk, sealed_log: SealedLog) -> None:
    text = receipt(sealed_log, 30)
    head, extra, rest = text.split("\n", 2)
    content = base64.b64decode(extra.removeprefix("extra "))
    for place in range(len(content)):
        turned = bytearray(content)
        turned[place] ^= 1 << place % 8
        forged = f"{head}\nextra {base64.b64encode(turned).decode()}\n{rest}"
        (verdict,) = desk.verdicts(desk.put("one.tlog-proof", forged))
        assert "inclusion" in checks(verdict), place
        assert verdict.first_bad_position == 30


def test_each_character_of_a_receipts_proof_counts(desk: Desk, sealed_log: SealedLog) -> None:
    text = receipt(sealed_log, 30)
    start = text.index("index")
    for place in range(start, len(text) - 1):
        other = other_letter(text[place])
        forged = text[:place] + other + text[place + 1 :]
        path = desk.put("one.tlog-proof", forged)
        (verdict,) = desk.verdicts(path)
        assert not verdict.is_good, place


def test_a_receipt_of_somebody_elses_key_or_place_is_not_good(
    desk: Desk, sealed_log: SealedLog, tmp_path: Path
) -> None:
    text = receipt(sealed_log, 30)
    stranger = SigningKey("tollgate.invalid/log/other", bytes(32)).verifier
    (verdict,) = Desk(tmp_path, [stranger]).verdicts(desk.put("one.tlog-proof", text))
    assert checks(verdict) == {"signature"}
    (verdict,) = desk.verdicts(
        desk.put("one.tlog-proof", text.replace("index 29", "index 28")),
    )
    assert "inclusion" in checks(verdict)


def test_an_event_that_lies_about_its_position_is_not_good(tmp_path: Path) -> None:
    """A log of ours never has one; a signer that is given a false tree may."""
    key = SigningKey("tollgate.invalid/log/x", bytes(32))
    event = seal.SigningKeyIntroduced(verifier="v", cause="first", actor="a")
    lie = Entry(2, UUID(int=1), 1, 1, None, event.TOPIC, encode(event))
    frontier = Frontier()
    frontier.append(lie.leaf())
    note = key.sign(Checkpoint(key.verifier.name, 1, frontier.root()).text())
    desk = Desk(tmp_path, [key.verifier])
    text = Receipt(0, (), note, lie.to_bytes()).text()
    (verdict,) = desk.verdicts(desk.put("one.tlog-proof", text))
    assert checks(verdict) == {"position"}


# ---------------------------------------------------------------------- checkpoints


def consistency(log: SealedLog, old: int, new: int) -> str:
    return log.read(lambda c: reading.read_consistency(c, old, new)).text()


def sizes_of(log: SealedLog) -> list[int]:
    return [int(note.split("\n")[1]) for note in notes(log)]


def test_two_checkpoints_are_good_with_their_proof_and_unanswered_without(
    desk: Desk, sealed_log: SealedLog
) -> None:
    old, _, new = (desk.put(f"{n}.checkpoint", note) for n, note in enumerate(notes(sealed_log)))
    sizes = sizes_of(sealed_log)
    proof = desk.put("growth", consistency(sealed_log, sizes[0], sizes[2]))
    assert all(verdict.is_good for verdict in desk.verdicts(new, old, proof))
    with pytest.raises(CannotVerify, match=rf"consistency\?from={sizes[0]}&to={sizes[2]}"):
        desk.verdicts(old, new)
    with pytest.raises(CannotVerify, match="give the checkpoints"):
        desk.verdicts(old, proof)


def test_each_character_of_a_consistency_proof_counts(desk: Desk, sealed_log: SealedLog) -> None:
    sizes = sizes_of(sealed_log)
    old, new = (desk.put(f"{n}.checkpoint", notes(sealed_log)[n]) for n in (0, 2))
    text = consistency(sealed_log, sizes[0], sizes[2])
    for place in range(text.index("old"), len(text) - 1):
        other = other_letter(text[place])
        path = desk.put("growth", text[:place] + other + text[place + 1 :])
        try:
            verdicts = desk.verdicts(old, new, path)
        except CannotVerify:
            continue  # it joins other sizes now, or says nothing at all
        assert not verdicts[2].is_good, place


def test_a_split_view_is_seen_when_two_clients_compare(desk: Desk, sealed_log: SealedLog) -> None:
    """The same key signed another history for another client: its signer was copied."""
    sizes = sizes_of(sealed_log)
    seed = base64.b64decode((sealed_log.folder / "key").read_bytes())
    origin = notes(sealed_log)[0].split("\n")[0]
    forged = SigningKey(origin, seed).sign(Checkpoint(origin, sizes[2], bytes(32)).text())
    ours = desk.put("ours.checkpoint", notes(sealed_log)[2])
    theirs = desk.put("theirs.checkpoint", forged)
    verdicts = desk.verdicts(ours, theirs)
    assert verdicts[0].is_good
    assert checks(verdicts[1]) == {"split_view"}
    # And where the sizes differ, no proof joins them.
    earlier = SigningKey(origin, seed).sign(Checkpoint(origin, sizes[0], bytes(32)).text())
    proof = desk.put("growth", consistency(sealed_log, sizes[0], sizes[2]))
    verdicts = desk.verdicts(desk.put("theirs.checkpoint", earlier), ours, proof)
    assert checks(verdicts[2]) == {"consistency"}


# ---------------------------------------------------------------------- accounts


def test_an_accounts_file_is_good_and_says_the_balance_of_the_database(
    desk: Desk, sealed_log: SealedLog
) -> None:
    sealed_log.log.close_all()
    last = sealed_log.seal()
    for account_id in sealed_log.log.accounts[:3]:
        content = sealed_log.read(lambda c, a=account_id: account_file(c, a))  # type: ignore[misc]
        (verdict,) = desk.verdicts(desk.put("account.ndjson", content))
        assert verdict.is_good, verdict.problems
        row = sealed_log.connection.execute(
            "select posted_nanos, held_nanos, seq from ledger.budget where scope = %s "
            "and position <= %s",
            (account_id, last.sealed.size),
        ).fetchone()
        facts = verdict.facts
        assert row == (facts["posted_nanos"], facts["held_nanos"], facts["events"])


def test_an_accounts_file_with_anything_left_out_or_changed_is_not_good(
    desk: Desk, sealed_log: SealedLog
) -> None:
    account_id = sealed_log.log.accounts[1]
    content = sealed_log.read(lambda c: account_file(c, account_id))
    lines = content.splitlines(keepends=True)

    def said(forged: Lines) -> Verdict:
        (verdict,) = desk.verdicts(desk.put("account.ndjson", b"".join(forged)))
        return verdict

    assert said(lines).is_good
    assert "account_seq" in checks(said([*lines[:3], *lines[4:]]))
    assert "account_seq" in checks(said([*lines[:-2], lines[-1]]))
    assert "account_seq" in checks(said([*lines[:2], lines[3], lines[2], *lines[4:]]))
    total = msgspec.json.decode(lines[-1])
    total["posted_nanos"] += 1
    assert checks(said([*lines[:-1], msgspec.json.encode(total) + b"\n"])) == {"balance"}
    other = sealed_log.read(lambda c: account_file(c, sealed_log.log.accounts[2]))
    assert "account_seq" in checks(said([lines[0], *other.splitlines(keepends=True)[1:]]))
    assert checks(said([lines[0]])) == {"malformed"}
    event = msgspec.json.decode(lines[2])
    event["entry"] = event["entry"][:60] + other_letter(event["entry"][60]) + event["entry"][61:]
    forged = said([*lines[:2], msgspec.json.encode(event) + b"\n", *lines[3:]])
    assert {"inclusion", "malformed"} & checks(forged)


# ---------------------------------------------------------------------- keys that change


def test_a_new_key_is_trusted_because_the_old_one_vouches_for_it(
    sealed_log: SealedLog, keys: list[VerifierKey], tmp_path: Path
) -> None:
    async def rotate(sealer: Sealer) -> str:
        new = await sealer.signer.prepare_rotation()
        assert new == await sealer.signer.prepare_rotation()
        command = IntroduceKey(new.verifier, "rotation", "test", new.endorsement)
        await introduce(sealer.ledger, command)
        await sealer.signer.rotate(new.verifier)
        await sealer.seal()
        return new.verifier

    verifier = sealed_log.with_sealer(rotate)
    assert verifier != str(keys[0])
    sealed = sealed_log.seal()
    assert sealed.sealed.verifier == verifier
    assert not (sealed_log.folder / "next-key").exists()
    desk = Desk(tmp_path, keys)
    assert desk.log(exported(sealed_log)).is_good  # with the old key alone
    newest = desk.put("new.checkpoint", sealed.sealed.note)
    assert checks(desk.verdicts(newest)[0]) == {"signature"}  # which alone does not tell
    assert Desk(tmp_path, [*keys, VerifierKey.parse(verifier)]).verdicts(newest)[0].is_good
    Signer(sealed_log.folder)  # and the folder is whole


# ---------------------------------------------------------------------- what cannot be answered


def test_files_of_no_known_kind_are_refused(desk: Desk, tmp_path: Path) -> None:
    for content in (b"", b"hello\n", b"{}\n", b"\xff\xfe", b'{"position":1}\n', b"x" * 2_000_000):
        with pytest.raises(CannotVerify):
            desk.verdicts(desk.put("what", content))
    with pytest.raises(FileNotFoundError):
        desk.verdicts(tmp_path / "nowhere")


def test_the_first_bad_position_is_the_lowest_of_all_files(desk: Desk, lines: Lines) -> None:
    good = desk.log(lines)
    bad = desk.log([*lines[:69], *lines[70:]])
    assert first_bad_position([good, bad]) == 70
    assert first_bad_position([good]) is None
