"""Parts of the ledger taken away for a while, each as it happens in real life."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.calling import Answer
from tests.fake_provider import Script
from tests.faults.conftest import MODEL, Stage
from tests.running import until

_FOLLOWER = """
    select pid from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
      and (query like 'listen ledger_configuration%' or query like '%topic not like%')
      and query_start > clock_timestamp() - interval '1 second'
"""


class Calling:
    """A call in a thread; it is at the provider's once this is made."""

    def __init__(
        self, stage: Stage, key: str, script: Script, *, is_stream: bool = False, **fields: object
    ) -> None:
        stage.provider.scripts["late"] = script
        calls = len(stage.provider.received)
        self._fields = {"stream": is_stream, "metadata": {"script": "late"}, **fields}
        self._client = stage.gateway.client(key)
        self._answers: list[Answer] = []
        self._thread = threading.Thread(target=self._call)
        self._thread.start()
        until(lambda: len(stage.provider.received) > calls, 10, "the provider was asked")

    def answer(self) -> Answer:
        """The whole answer, once it is here."""
        self._thread.join(30)
        return self._answers[0]

    def _call(self) -> None:
        self._answers.append(self._client.chat(MODEL, **self._fields))  # type: ignore[arg-type]


@contextlib.contextmanager
def ledger_held_up(stage: Stage) -> Iterator[None]:
    """Nothing can be appended meanwhile: somebody else has the row that orders the log."""
    with psycopg.connect(stage.owner_dsn) as connection:
        connection.execute("select position from ledger.head for update")
        yield
        connection.rollback()


@contextlib.contextmanager
def database_away(stage: Stage) -> Iterator[None]:
    """Every connection is cut, and every new one refused."""
    name = str(conninfo_to_dict(stage.owner_dsn)["dbname"])
    admit = sql.SQL("alter database {} with allow_connections {}")
    maintenance = make_conninfo(stage.owner_dsn, dbname="postgres")
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute(admit.format(sql.Identifier(name), sql.Literal(False)))
        try:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
            )
            yield
        finally:
            connection.execute(admit.format(sql.Identifier(name), sql.Literal(True)))


@contextlib.contextmanager
def append_function_away(stage: Stage) -> Iterator[None]:
    """As in the middle of a migration gone wrong: the database answers, and refuses to append."""
    with psycopg.connect(stage.owner_dsn, autocommit=True) as connection:
        connection.execute("alter function ledger.append_events rename to append_events_away")
        try:
            yield
        finally:
            connection.execute("alter function ledger.append_events_away rename to append_events")


@contextlib.contextmanager
def follower_frozen(stage: Stage) -> Iterator[None]:
    """The one backend that tells of changes to the configuration answers nothing."""
    with psycopg.connect(stage.owner_dsn, autocommit=True) as connection:
        (pid,) = until(lambda: connection.execute(_FOLLOWER).fetchone(), 5, "somebody follows")
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
