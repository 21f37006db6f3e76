"""What of an exported log is under no seal, and what the manifest beside it says (A17)."""

from pathlib import Path

import msgspec
import pytest

from ledger.export.files import export_to_file
from ledger.export.formats.registry import FORMATS
from ledger.export.manifest import manifest_path, read_manifest, to_bytes
from ledger.export.selection import Selection
from ledger.integrity import reading
from ledger.integrity.note import SigningKey, VerifierKey
from ledger.integrity.verdict import Verdict
from ledger.integrity.verify import verify_files
from ledger.streams.credit import CreditGranted
from tests.ledger.integrity.sealed_logs import SealedLog
from tests.ledger.integrity.test_verify import (
    Lines,
    changed,
    checks,
    find,
    notes,
    sizes_of,
    state_of,
)
from tollgate.cli import main
from tollgate.commands.contract import FINDINGS, OK, UNSEALED

Keys = list[VerifierKey]


@pytest.fixture
def keys(sealed_log: SealedLog) -> Keys:
    introduced = sealed_log.read(reading.read_introduced)
    return [VerifierKey.parse(event.verifier) for _, event in introduced]


@pytest.fixture
def log(sealed_log: SealedLog, tmp_path: Path) -> Path:
    """The whole log, as an operator exports it."""
    return exported(sealed_log, tmp_path / "log.jsonl", Selection(what="events"))


def exported(sealed_log: SealedLog, path: Path, selection: Selection) -> Path:
    dsn = sealed_log.database.app_dsn
    export_to_file(
        dsn, selection, FORMATS["jsonl"], path, lambda _done, _total: None, is_replacing=True
    )
    return path


def lines_of(path: Path) -> Lines:
    return path.read_bytes().splitlines(keepends=True)


def verdict_of(path: Path, keys: Keys) -> Verdict:
    (verdict,) = verify_files([path], keys)
    return verdict


def forged_behind_the_last_seal(sealed_log: SealedLog, log: Path) -> Lines:
    """Cut between the last two seals, and one event there written anew with a leaf that fits."""
    _, older, newer = sizes_of(sealed_log)
    cut = lines_of(log)[: newer - 10]
    position = find(cut, CreditGranted.TOPIC, after=older + 1)
    state = msgspec.json.decode(state_of(cut, position))
    state["amount_nanos"] += 1_000_000_000_000
    return changed(cut, position, state=msgspec.json.encode(state))


def say(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def keys_file(keys: Keys, folder: Path) -> Path:
    path = folder / "keys"
    path.write_text("".join(f"{key}\n" for key in keys))
    return path


def test_a17_a_whole_export_has_nothing_under_no_seal_but_the_last_seal_itself(
    log: Path, keys: Keys
) -> None:
    verdict = verdict_of(log, keys)
    assert (verdict.problems, verdict.unsealed) == ([], 0)
    assert verdict.facts["sealed_size"] == verdict.facts["size"] - 1  # type: ignore[operator]


def test_a17_a_log_that_was_cut_before_its_last_checkpoint_contradicts_its_manifest(
    sealed_log: SealedLog, log: Path, keys: Keys
) -> None:
    forged = forged_behind_the_last_seal(sealed_log, log)
    log.write_bytes(b"".join(forged))
    verdict = verdict_of(log, keys)
    assert checks(verdict) == {"truncated", "manifest"}
    assert verdict.first_bad_position == len(forged) + 1


def test_a17_without_the_manifest_the_end_is_told_to_be_under_no_seal(
    sealed_log: SealedLog, log: Path, keys: Keys, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    forged = forged_behind_the_last_seal(sealed_log, log)
    log.write_bytes(b"".join(forged))
    manifest_path(log).unlink()
    verdict = verdict_of(log, keys)
    older = sizes_of(sealed_log)[1]
    # The seal that stands behind what it seals is signed itself.
    assert (verdict.problems, verdict.unsealed) == ([], len(forged) - older - 1)
    command = ("verify", log, "--keys", keys_file(keys, tmp_path))
    assert say(*command) == UNSEALED
    assert f"its last {verdict.unsealed} events are under no seal" in capfd.readouterr().err
    assert say(*command, "--allow-unsealed") == OK
    assert say(*command, "--json") == UNSEALED
    told = msgspec.json.decode(capfd.readouterr().out.partition("\n")[2])
    assert (told["is_good"], told["unsealed"]) == (True, verdict.unsealed)


def test_a17_a_manifest_that_was_written_anew_excuses_a_short_log_and_seals_nothing(
    sealed_log: SealedLog, log: Path, keys: Keys
) -> None:
    """It is not signed: whoever cut the log may say that no more was asked for."""
    forged = forged_behind_the_last_seal(sealed_log, log)
    short = exported(sealed_log, log, Selection(what="events", until=len(forged)))
    assert verdict_of(short, keys).unsealed == len(forged) - sizes_of(sealed_log)[1] - 1
    assert verdict_of(short, keys).is_good
    log.write_bytes(b"".join(forged))
    assert checks(verdict_of(log, keys)) == {"manifest"}
    manifest = read_manifest(log)
    truth = msgspec.structs.replace(manifest, as_of_position=10_000)
    manifest_path(log).write_bytes(to_bytes(truth))
    assert checks(verdict_of(log, keys)) == {"manifest", "truncated"}


def test_a17_the_manifest_is_believed_only_as_far_as_it_is_signed(
    sealed_log: SealedLog, log: Path, keys: Keys
) -> None:
    manifest = read_manifest(log)
    assert manifest.checkpoint == notes(sealed_log)[-1]
    origin, size, root, *_ = manifest.checkpoint.split("\n")
    stranger = SigningKey(origin, bytes(32)).sign(f"{origin}\n{size}\n{root}\n")
    manifest_path(log).write_bytes(to_bytes(msgspec.structs.replace(manifest, checkpoint=stranger)))
    assert checks(verdict_of(log, keys)) == {"signature"}
    manifest_path(log).write_bytes(b"{}")
    assert checks(verdict_of(log, keys)) == {"manifest"}
    manifest_path(log).write_bytes(
        to_bytes(msgspec.structs.replace(manifest, checkpoint=None, size_bytes=1))
    )
    assert checks(verdict_of(log, keys)) == {"manifest"}


def test_a17_the_manifest_seals_what_no_seal_of_the_log_itself_does(
    sealed_log: SealedLog, log: Path, keys: Keys
) -> None:
    """The log ends exactly where the checkpoint does, before the seal itself."""
    size = sizes_of(sealed_log)[2]
    path = exported(sealed_log, log, Selection(what="events", until=size))
    assert verdict_of(path, keys).unsealed == 0
    manifest_path(path).unlink()
    assert verdict_of(path, keys).unsealed == size - sizes_of(sealed_log)[1] - 1


def test_a17_a_log_of_one_event_without_a_seal_is_under_none(
    log: Path, keys: Keys, tmp_path: Path
) -> None:
    one = tmp_path / "one.jsonl"
    one.write_bytes(lines_of(log)[0])
    verdict = verdict_of(one, keys)
    assert (verdict.problems, verdict.unsealed) == ([], 1)
    forged = tmp_path / "forged.jsonl"
    forged.write_bytes(b"".join(lines_of(log)[:299][:-1]) + b"{}\n")
    assert say("verify", one, forged, "--keys", keys_file(keys, tmp_path)) == FINDINGS
