"""The vault's secret at the command line: another one, a new one, and a vault under two."""

import shutil
from uuid import UUID

import psycopg
import pytest

from ledger.vault import Vault
from tests.servers import FreshDatabase, make_data_directory
from tests.tollgate.test_cli import SECRET, Tool, log_of, tool
from tollgate.embedded.data_directory import DataDirectory

__all__ = ["tool"]

NEW_SECRET = "b7e0c2d94a6f18350e9d7c6b5a4f3e21"


def test_a_rotated_secret_opens_everything_and_the_old_one_nothing(
    tool: Tool, database: FreshDatabase, redis_url: str
) -> None:
    account = tool.furnish()
    tool.type("short\n")
    assert tool.run("vault", "rotate") == 2
    assert "needs 32" in tool.complained
    tool.type(f"{SECRET}\n")
    assert tool.run("vault", "rotate") == 2
    tool.type(f"{NEW_SECRET}\n")
    assert tool.ok("vault", "rotate").startswith("3 data keys are under the new secret now")
    assert NEW_SECRET not in tool.said + tool.complained
    tool.type(f"{NEW_SECRET}\n")
    assert tool.ok("vault", "rotate").startswith(
        "0 data keys are under the new secret now, 3 were before"
    )
    tool.use(database, redis_url, NEW_SECRET)
    assert "Größe & Co" in tool.ok("account", "list")
    assert "Laptop" in tool.ok("key", "list", account)
    assert tool.ok("doctor") == "nothing is wrong"
    tool.use(database, redis_url, SECRET)
    assert tool.run("account", "list") != 0
    tool.type("3b9f0c1d7e2a48569d0f1b3c5e7a9246\n")
    assert tool.run("vault", "rotate") == 1
    tool.use(database, redis_url, NEW_SECRET)
    assert "Größe & Co" in tool.ok("account", "list")


@pytest.mark.parametrize(
    "command",
    [
        ("serve", "--port", "0"),
        ("account", "add", "Sealed under a second secret"),
        ("account", "list"),
        ("backup", "books.tar.gz"),
    ],
)
def test_d1_nothing_is_done_under_another_secret(
    tool: Tool, database: FreshDatabase, redis_url: str, command: tuple[str, ...]
) -> None:
    tool.furnish()
    before = log_of(database)
    tool.use(database, redis_url, SECRET[::-1])
    assert tool.run(*command) == 2
    assert tool.complained.splitlines()[-1].startswith(
        "tollgate: CRYPTO_SECRET is not the one that this vault is sealed under: set the one"
    )
    assert log_of(database) == before
    tool.use(database, redis_url)
    assert tool.ok("doctor") == "nothing is wrong"


def test_d1_what_does_not_open_is_named_sinks_no_list_and_is_mended(
    tool: Tool, database: FreshDatabase, redis_url: str
) -> None:
    """A vault under two secrets, as releases left it that did not look."""
    tool.furnish()
    other = tool.ok("account", "add", "Another")
    seal_under(database, Vault(SECRET), Vault(NEW_SECRET), UUID(other))
    told = tool.ok("account", "list")
    assert "(unreadable)" in told
    assert "Größe & Co" in told
    assert tool.run("account", "change", other, "--name", "(unreadable)") == 2
    assert tool.run("doctor") == 1
    assert f"1 of 4 data keys do not open under CRYPTO_SECRET, as that of {other}" in tool.said

    tool.use(database, redis_url, NEW_SECRET)
    tool.type(f"{SECRET}\n")
    assert tool.ok("vault", "rotate").startswith(
        "1 data keys are under the new secret now, 3 were before"
    )
    tool.use(database, redis_url)
    assert "Another" in tool.ok("account", "list")
    assert tool.ok("doctor") == "nothing is wrong"


def seal_under(database: FreshDatabase, now: Vault, then: Vault, subject: UUID) -> None:
    with psycopg.connect(database.owner_dsn) as connection:
        row = connection.execute(
            "select wrapped from vault.data_key where subject = %s", (subject,)
        ).fetchone()
        assert row is not None
        connection.execute(
            "update vault.data_key set wrapped = %s where subject = %s",
            (now.rewrapped(row[0], subject, then), subject),
        )


def test_a_secret_is_not_rotated_under_a_serving_node(tool: Tool, database: FreshDatabase) -> None:
    tool.furnish()
    with psycopg.connect(database.app_dsn, autocommit=True) as connection:
        connection.execute(
            "insert into operations.node_lease (node, boot, expires_at) "
            "values ('front-1', gen_random_uuid(), clock_timestamp() + interval '1 minute')"
        )
    tool.type(f"{NEW_SECRET}\n")
    assert tool.run("vault", "rotate") == 2
    assert "front-1" in tool.complained
    assert "Größe & Co" in tool.ok("account", "list")


def test_the_kept_secret_is_replaced_and_an_interrupted_rotation_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SQL_DSN", "SQL_OWNER_DSN", "REDIS_CONN_STRING", "CRYPTO_SECRET"):
        monkeypatch.delenv(name, raising=False)
    tool = Tool(make_data_directory().root, capsys, monkeypatch)
    tool.ok("account", "add", "Größe & Co")
    secrets = tool.folder / "secrets"
    old = (secrets / "crypto_secret").read_text()
    replace = DataDirectory.replace_secret

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DataDirectory, "replace_secret", killed)
    assert tool.run("vault", "rotate") != 0
    assert (secrets / "crypto_secret").read_text() == old
    monkeypatch.setattr(DataDirectory, "replace_secret", replace)
    assert tool.ok("vault", "rotate").startswith(
        "0 data keys are under the new secret now, 2 were before"
    )
    assert [path.name for path in secrets.glob("crypto_secret*")] == ["crypto_secret"]
    assert (secrets / "crypto_secret").read_text() != old
    assert "Größe & Co" in tool.ok("account", "list")
    shutil.rmtree(tool.folder.parent)
