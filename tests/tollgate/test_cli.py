"""The command line on real servers: what it does at the desk, backups, tokens, the doctor."""

import argparse
import io
import os
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import msgspec
import psycopg
import pytest

from admin_api.channels import operations as channels
from admin_api.desk import Desk
from admin_api.operators.operations import find_operator
from ledger.streams import channel
from tests.servers import FreshDatabase, made_database
from tollgate import installation
from tollgate.backup.load import read_manifest
from tollgate.backup.manifest import Manifest, Member
from tollgate.cli import main
from tollgate.embedded.postgres import EmbeddedPostgres
from tollgate.settings import Settings

SECRET = "4f9a1c7be2d05836a91f0b7c3d8e6f25"
CANARY = "sk-canary-6b1d9e0f4a7c2853"


class Tool:
    """The `tollgate` command on one external database, in this process."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.folder = folder
        self.said = ""
        self.complained = ""
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def use(self, database: FreshDatabase, redis_url: str, secret: str = SECRET) -> None:
        self.set("SQL_DSN", database.app_dsn)
        self.set("SQL_OWNER_DSN", database.owner_dsn)
        self.set("REDIS_CONN_STRING", redis_url)
        self.set("CRYPTO_SECRET", secret)

    def set(self, name: str, value: str) -> None:
        self._monkeypatch.setenv(name, value)

    def type(self, text: str) -> None:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(text))

    def run(self, *arguments: str) -> int:
        self._capsys.readouterr()
        code = main([*arguments, "--data-dir", str(self.folder)])
        self.said, self.complained = self._capsys.readouterr()
        return code

    def ok(self, *arguments: str) -> str:
        code = self.run(*arguments)
        assert code == 0, (arguments, self.said, self.complained)
        return self.said.strip()

    def furnish(self) -> str:
        """A small ledger of every kind of thing; the account's id."""
        account = self.ok("account", "add", "Größe & Co")
        self.ok("credit", "add", account, "12.5", "--source", "manual", "--reason", "first money")
        self.ok("key", "add", account, "Laptop", "--limit", "3", "--model", "gpt-x")
        self.type(f"{CANARY}\n\n")
        self.ok(
            *("channel", "add", "Provider", "--type", "openai", "--keys"),
            *("--base-url", "https://provider.example/v1", "--model", "gpt-x=provider-x"),
        )
        self.ok("price", "set", "gpt-x", "input=2.5", "output=10")
        return account


@pytest.fixture
def tool(
    tmp_path: Path,
    database: FreshDatabase,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Tool:
    one = Tool(tmp_path / "data", capsys, monkeypatch)
    one.use(database, redis_url)
    return one


@pytest.fixture
def other_database(postgres_server: EmbeddedPostgres) -> Iterator[FreshDatabase]:
    with made_database(postgres_server) as made:
        yield made


def test_what_the_api_does_can_be_done_without_it(tool: Tool) -> None:
    account = tool.furnish()
    assert "posted     12.5 USD" in tool.ok("ledger", "balance", account)
    assert "Größe & Co" in tool.ok("account", "list")
    assert "Laptop" in tool.ok("key", "list", account)
    assert CANARY not in tool.ok("channel", "list")
    assert "gpt-x" in tool.said
    assert "input=2.5 output=10" in tool.ok("price", "list")

    key = tool.ok("key", "list", account).splitlines()[1].split()[0]
    tool.ok("key", "revoke", key)
    assert "revoked" in tool.ok("key", "list", account)
    channel_id = tool.ok("channel", "list").splitlines()[1].split()[0]
    tool.ok("channel", "pause", channel_id)
    assert "paused" in tool.ok("channel", "list")
    key_id = tool.ok("channel", "keys", channel_id).splitlines()[1].split()[0]
    assert " usable " in tool.said
    tool.ok("channel", "pause-key", channel_id, key_id, "--reason", "rotated")
    assert " paused " in tool.ok("channel", "keys", channel_id)
    assert " rotated " in tool.said
    assert " usable " in tool.ok("channel", "resume-key", channel_id, key_id)
    assert tool.run("channel", "pause-key", channel_id, channel_id) == 1
    tool.ok("channel", "remove", channel_id)
    assert "Provider" not in tool.ok("channel", "list")


def test_d5_accounts_operators_and_settings_are_changed_by_commands(tool: Tool) -> None:
    account = tool.ok("account", "add", "Somebody")
    changed = tool.ok("account", "change", account, "--group", "vip", "--day", "2.5")
    assert "group      vip" in changed
    assert "day        2.5 USD" in changed
    assert "day        no limit" in tool.ok("account", "change", account, "--day", "none")
    assert "suspended" in tool.ok("account", "suspend", account)
    assert "active" in tool.ok("account", "resume", account)

    operator, token = tool.ok("operator", "add", "Eve", "--role", "auditor").split()
    assert len(token) > 20
    assert "finance" in tool.ok("operator", "change", operator, "--role", "finance")
    assert "disabled" in tool.ok("operator", "disable", operator)
    assert "active" in tool.ok("operator", "enable", operator)
    assert tool.ok("operator", "token", operator).strip() != token
    assert "Eve" in tool.ok("operator", "list")
    assert "erased" in tool.ok("operator", "erase", operator)
    assert "Eve" not in tool.ok("operator", "list")

    assert "UTC" in tool.ok("setting", "list")
    assert tool.ok("setting", "set", "book.time_zone", "Asia/Kathmandu").strip() == (
        "book.time_zone = Asia/Kathmandu"
    )
    assert tool.run("setting", "set", "book.time_zone", "Mars") == 2
    assert tool.run("setting", "set", "colour", "red") == 1


def test_the_same_idempotency_key_credits_once(tool: Tool) -> None:
    account = tool.ok("account", "add", "Somebody")
    credit = ("credit", "add", account, "1", "--source", "manual", "--idempotency-key", "order-7")
    first = tool.ok(*credit)
    assert tool.ok(*credit) == first
    assert "posted     1 USD" in tool.ok("account", "balance", account)


def test_refusals_have_their_numbers(tool: Tool) -> None:
    nobody = str(uuid.uuid4())
    assert tool.run("account", "balance", nobody) == 1
    assert tool.complained == "tollgate: no such account\n"
    assert tool.run("account", "balance", "not-an-id") == 2
    assert tool.run("ledger", "rebuild", "nonsense") == 2
    assert tool.run("credit", "add", nobody, "1e3", "--source", "manual") == 2
    tool.set("SQL_DSN", "postgresql://nobody:hunter2@127.0.0.1:1/nothing")
    assert tool.run("account", "list") == 3
    assert "Postgres cannot be reached" in tool.complained
    assert "hunter2" not in tool.complained


def test_a_reset_token_replaces_all_earlier_ones(tool: Tool) -> None:
    first = tool.ok("token", "reset")
    second = tool.ok("token", "reset")
    assert first != second
    assert roles(tool, first, second) == [None, "root"]


def test_a_backup_restores_to_the_same_books(
    tool: Tool, other_database: FreshDatabase, database: FreshDatabase, redis_url: str
) -> None:
    account = tool.furnish()
    file = tool.folder.parent / "books.tar.gz"
    tool.ok("backup", str(file))
    assert "CRYPTO_SECRET is not in it" in tool.complained
    assert file.stat().st_mode & 0o777 == 0o600
    assert [name for name in os.listdir(tool.folder.parent) if "tollgate-backup" in name] == []

    tool.use(other_database, redis_url)
    assert "the books are clean" in tool.ok("restore", str(file))
    *restored, _ = log_of(other_database)
    assert restored == log_of(database)
    assert "posted     12.5 USD" in tool.ok("ledger", "balance", account)
    assert "Größe & Co" in tool.ok("account", "list")

    again = tool.folder.parent / "again.tar.gz"
    tool.ok("backup", str(again))
    assert unmoved(read_manifest(again)) == unmoved(read_manifest(file))
    tool.ok("credit", "add", account, "1", "--source", "manual")  # the log goes on where it ended


def test_a_backup_holds_no_secret_in_clear(tool: Tool) -> None:
    tool.furnish()
    file = tool.folder.parent / "books.tar.gz"
    tool.ok("backup", str(file))
    for name, content in members(file).items():
        for hidden in (CANARY, SECRET, "Größe", "Laptop"):
            assert hidden.encode() not in content, name
            assert hidden.encode().hex().encode() not in content, name


def test_a_restore_is_refused_where_it_could_do_harm(
    tool: Tool, other_database: FreshDatabase, redis_url: str
) -> None:
    tool.furnish()
    file = tool.folder.parent / "books.tar.gz"
    tool.ok("backup", str(file))
    assert tool.run("backup", str(file)) == 2
    assert "exists already" in tool.complained
    assert tool.run("restore", str(file)) == 2
    assert "not empty" in tool.complained

    tool.use(other_database, redis_url, secret=SECRET[::-1])
    assert tool.run("restore", str(file)) == 2
    assert "another CRYPTO_SECRET" in tool.complained
    assert tool.run("restore", str(file.with_name("nothing.tar.gz"))) == 2
    assert log_of(other_database) == []
    tool.ok("restore", str(file), "--without-vault")
    assert "Größe & Co" not in tool.ok("account", "list")
    tool.ok("account", "add", "Its name is sealed under the secret that is here")
    assert tool.run("doctor") == 1
    assert tool.said.count("\n") == 1
    assert "has no usable key of its provider" in tool.said


@pytest.mark.parametrize("damage", ["value", "row", "cut", "noise"])
def test_a_damaged_backup_is_refused_whole(
    tool: Tool, other_database: FreshDatabase, redis_url: str, damage: str
) -> None:
    tool.furnish()
    file = tool.folder.parent / "books.tar.gz"
    tool.ok("backup", str(file))
    spoilt = file.with_name("spoilt.tar.gz")
    spoil(file, spoilt, damage)
    tool.use(other_database, redis_url)
    assert tool.run("restore", str(spoilt)) == 2
    assert "nothing was changed" in tool.complained
    assert log_of(other_database) == []


def test_fsck_names_a_changed_budget_and_a_rebuild_needs_no_server(
    tool: Tool, database: FreshDatabase
) -> None:
    account = tool.furnish()
    assert "rebuilt up to position" in tool.ok("ledger", "rebuild", "accounts")
    assert tool.ok("ledger", "fsck") == "the books are clean"
    with psycopg.connect(database.owner_dsn) as connection:
        connection.execute("update ledger.budget set posted_nanos = posted_nanos + 1")
    assert tool.run("ledger", "fsck") == 1
    assert account in tool.said
    assert tool.run("ledger", "rebuild", "budget", "--compare") == 2
    assert tool.run("ledger", "rebuild", "budget", "accounts") == 2
    told = tool.ok("ledger", "rebuild", "budget").splitlines()
    assert f"{account}: was posted 12.500000001, held 0, is posted 12.5, held 0" in told
    assert tool.ok("ledger", "fsck") == "the books are clean"
    assert (
        tool.ok("ledger", "rebuild", "budget") == "budget: 0 of its rows were not what the log says"
    )


def test_the_doctor_finds_nothing_on_a_sound_installation(tool: Tool) -> None:
    tool.furnish()
    assert tool.ok("doctor") == "nothing is wrong"


def test_the_doctor_names_what_is_wrong_and_the_remedy(tool: Tool, database: FreshDatabase) -> None:
    assert tool.run("doctor") == 1
    assert "there is no installation in" in tool.said

    tool.ok("account", "add", "Somebody")
    assert tool.run("doctor") == 1
    assert "there is no channel" in tool.said

    tool.ok("channel", "add", "E", "--type", "echo", "--model", "echo")
    tool.type("sk-revoked-at-the-provider\n")
    openai = tool.ok("channel", "add", "O", "--type", "openai", "--keys", "--model", "gpt-x")
    refuse_keys_of(tool, UUID(openai))
    assert tool.run("doctor") == 1
    assert "model 'echo' has a channel and no price" in tool.said
    assert "has no usable key of its provider" in tool.said

    secrets = tool.folder / "secrets"
    (secrets / "leaked").write_text("x")
    (secrets / "leaked").chmod(0o644)
    with psycopg.connect(database.owner_dsn) as connection:
        connection.execute("alter table ledger.event disable trigger append_only")
        connection.execute("delete from tollgate_migration where name like '0003%'")
    assert tool.run("doctor") == 1
    assert f"chmod 600 {secrets / 'leaked'}" in tool.said
    assert "the migration 0003" in tool.said
    with psycopg.connect(database.owner_dsn) as connection:
        connection.execute(
            "insert into tollgate_migration (name, sha256) values ('9999_future.sql', 'x')"
        )
    assert tool.run("doctor") == 1
    assert "a newer release (9999_future.sql)" in tool.said


def test_the_doctor_sees_disabled_triggers_and_another_secret(
    tool: Tool, database: FreshDatabase, redis_url: str
) -> None:
    tool.furnish()
    with psycopg.connect(database.owner_dsn) as connection:
        connection.execute("alter table ledger.event disable trigger append_only")
    tool.use(database, redis_url, secret=SECRET[::-1])
    assert tool.run("doctor") == 1
    assert "trigger ledger.event append_only is not as this release made it" in tool.said
    assert "CRYPTO_SECRET is not the one the vault was sealed under" in tool.said


def test_a_database_that_may_lose_events_is_refused(tool: Tool, database: FreshDatabase) -> None:
    tool.furnish()
    with psycopg.connect(database.owner_dsn, autocommit=True) as connection:
        connection.execute(f"alter database {database.name} set synchronous_commit = off")
    assert tool.run("account", "list") == 2
    assert "synchronous_commit = off" in tool.complained
    assert tool.run("doctor") == 1
    assert "set synchronous_commit = on" in tool.said


def test_servers_that_are_away_are_findings(tool: Tool) -> None:
    tool.furnish()
    tool.set("REDIS_CONN_STRING", "redis://127.0.0.1:1/0")
    assert tool.run("doctor") == 1
    assert "Redis does not work" in tool.said
    tool.set("SQL_DSN", "postgresql://nobody@127.0.0.1:1/nothing")
    assert tool.run("doctor") == 1
    assert "Postgres cannot be reached" in tool.said


def test_a_channel_says_what_its_type_needs(tool: Tool) -> None:
    tool.type('{\n  "type": "service_account",\n  "project_id": "p"\n}\nplain-key\n')
    prompt = tool.folder.parent / "prompt.txt"
    prompt.write_text("Be brief.\nAlways.")
    tool.ok(
        *("channel", "add", "V", "--type", "vertex", "--model", "gemini-2.5-pro", "--keys"),
        *("--setting", "region=europe-west1", "--setting", "project=acme"),
        *("--system-prompt-file", str(prompt), "--system-prompt-leads", "--force-format"),
    )
    (view,) = channels_of(tool)
    route = view.state.route
    assert route.settings == {"project": "acme", "region": "europe-west1"}
    assert len(route.key_ids) == 2
    assert view.system_prompt == "Be brief.\nAlways."
    assert (route.shaping.system_prompt_leads, route.shaping.force_format) == (True, True)
    assert route.shaping.thinking_to_content is False


def test_d7_the_address_that_a_host_alone_stands_for_is_shown(tool: Tool) -> None:
    tool.type("k\n")
    added = ("channel", "add", "L", "--type", "openai", "--model", "m", "--keys", "--base-url")
    tool.ok(*added, "https://models.example")
    assert "its address is https://models.example/v1" in tool.complained
    assert "https://models.example/v1 " in tool.ok("channel", "list")


def test_a_channel_that_lacks_or_misspells_a_setting_is_refused(tool: Tool) -> None:
    cloudflare = ("channel", "add", "C", "--type", "cloudflare", "--model", "m", "--keys")
    tool.type("key\n")
    assert tool.run(*cloudflare) == 2
    assert "settings.account_id: is required" in tool.complained
    tool.type("key\n")
    assert tool.run(*cloudflare, "--setting", "acount_id=1") == 2
    assert tool.run(*cloudflare, "--setting", "account_id") == 2
    assert "name=value" in tool.complained
    tool.type('{"not closed\n')
    assert tool.run(*cloudflare) == 2


def test_the_kinds_of_providers_are_listed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["channel", "types"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "account_id!" in rows["cloudflare"]
    assert "openai_chat,openai_responses,anthropic_messages" in rows["openrouter"]
    assert "(to be given)" in rows["azure"]


def unmoved(manifest: Manifest) -> list[Member]:
    """The tables that a restore leaves as they were: it is an event of the log."""
    moved = ("ledger.event", "ledger.head")
    return [member for member in manifest.members if member.table not in moved]


def log_of(database: FreshDatabase) -> list[tuple[object, ...]]:
    with psycopg.connect(database.owner_dsn) as connection:
        if connection.execute("select to_regclass('ledger.event')").fetchone() == (None,):
            return []
        return connection.execute("select * from ledger.event order by position").fetchall()


def roles(tool: Tool, *tokens: str) -> list[str | None]:
    """The roles of those who present these tokens."""

    async def ask(desk: Desk) -> list[str | None]:
        found = [await find_operator(desk, token) for token in tokens]
        return [None if one is None else one[1] for one in found]

    settings = Settings.from_environment(argparse.Namespace(data_dir=str(tool.folder)))
    with installation.open_installation(settings, may_create=False) as opened:
        return installation.at_desk(opened, ask)


def channels_of(tool: Tool) -> list[channels.ChannelView]:
    settings = Settings.from_environment(argparse.Namespace(data_dir=str(tool.folder)))
    with installation.open_installation(settings, may_create=False) as opened:
        return installation.at_desk(opened, channels.list_channels)


def refuse_keys_of(tool: Tool, channel_id: UUID) -> None:
    """Record that the provider refuses a channel's keys, as the gateway does."""

    async def mark(desk: Desk) -> None:
        state: channel.Channel = await desk.ledger.state(channel.STREAM, channel_id)
        for key_id in state.route.key_ids:
            command = channel.MarkKey(key_id, "refused", "test")
            await desk.ledger.handle(channel.STREAM, channel_id, command)

    settings = Settings.from_environment(argparse.Namespace(data_dir=str(tool.folder)))
    with installation.open_installation(settings, may_create=False) as opened:
        installation.at_desk(opened, mark)


def members(file: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(file) as tar:
        for entry in tar:
            content = tar.extractfile(entry)
            assert content is not None
            found[entry.name] = content.read()
    return found


def spoil(file: Path, spoilt: Path, damage: str) -> None:
    """A copy of a backup with one thing wrong."""
    if damage in ("cut", "noise"):
        whole = file.read_bytes()
        spoilt.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"noise" * 500)
        return
    found = members(file)
    rows = found["ledger.event.copy"]
    if damage == "value":
        found["ledger.event.copy"] = rows.replace(b"\\\\x7b22", b"\\\\x7b23", 1)
    else:
        found["ledger.event.copy"] = rows.split(b"\n", 1)[1]
    assert found["ledger.event.copy"] != rows
    assert msgspec.json.decode(found["manifest.json"])
    with tarfile.open(spoilt, "w:gz") as tar:
        for name, content in found.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


@pytest.mark.parametrize(
    "command",
    [
        ("account", "list"),
        ("ledger", "fsck"),
        ("usage",),
        ("price", "import-catalogue", "openai:gpt-4o", "--dry-run"),
        ("backup", "books.tar.gz"),
        ("ledger", "balance", str(UUID(int=1))),
        ("vault", "rotate"),
    ],
)
def test_what_reads_makes_no_installation_where_there_is_none(
    command: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SQL_DSN", "SQL_OWNER_DSN", "REDIS_CONN_STRING", "CRYPTO_SECRET"):
        monkeypatch.delenv(name, raising=False)
    tool = Tool(tmp_path / "mistyped", capsys, monkeypatch)
    assert tool.run(*command) == 2
    assert tool.complained == (
        f"tollgate: there is no installation in {tool.folder}: start one with `tollgate serve`, "
        "or name another folder with --data-dir\n"
    )
    assert not tool.folder.exists()
