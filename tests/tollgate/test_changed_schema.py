"""A database whose guards somebody changed is not served from, and its books can still be read."""

import subprocess
import sys
from pathlib import Path

import psycopg

from tests.servers import FreshDatabase
from tests.tollgate.serving import clean_environment

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60


def test_a18_a_start_on_a_changed_schema_is_refused_and_fsck_and_the_doctor_tell(
    ledger_database: FreshDatabase, redis_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(ledger_database.owner_dsn) as owner:
        owner.execute("drop index ledger.event_closing")

    def tollgate(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "tollgate", *arguments, "--data-dir", str(tmp_path / "data")],
            cwd=ROOT,
            env=clean_environment(
                SQL_DSN=ledger_database.app_dsn,
                SQL_OWNER_DSN=ledger_database.owner_dsn,
                REDIS_CONN_STRING=redis_url,
                CRYPTO_SECRET="a-secret-for-tests-and-long-enough",
            ),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    start = tollgate("serve", "--host", "127.0.0.1", "--port", "0")
    assert start.returncode == 2
    assert "unique index ledger.event_closing is missing" in start.stderr
    assert "Traceback" not in start.stderr
    check = tollgate("ledger", "fsck")
    assert check.returncode == 1
    assert "protection of ledger.event_closing: the unique index is missing" in check.stdout
    doctor = tollgate("doctor")
    assert doctor.returncode == 1
    assert "unique index ledger.event_closing is missing" in doctor.stdout
