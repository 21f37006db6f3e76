"""A man in the middle between a writer and Postgres, who cuts the connection at chosen moments.

It speaks just enough of the protocol (Postgres documentation, 54.7) to know an append: a Bind of a
prepared statement, up to its Sync; and its end: ReadyForQuery, which follows the commit.
"""

import asyncio
import contextlib
import itertools
import shutil
import struct
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from enum import Enum, auto
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_SOCKET = ".s.PGSQL.5432"
_READY = b"Z\x00\x00\x00\x05I"
_CHUNK_BYTES = 65_536


class Fate(Enum):
    """What becomes of one execution of the append function."""

    PASS = auto()
    DROP_ANSWER = auto()  # committed; the answer never arrives
    CUT_AFTER_REQUEST = auto()  # sent, then cut: nobody knows
    DROP_REQUEST = auto()  # never reached the server
    DELAY_REQUEST = auto()  # cut; reaches the server only when `deliver_late` is called


class CuttingProxy:
    """Listens on a socket of its own; `fates` is asked once for each append, then all pass."""

    def __init__(self, server_dsn: str, folder: Path, fates: Iterable[Fate]) -> None:
        self.appends = 0
        self.cuts = 0
        self.dsn = make_conninfo(server_dsn, host=str(folder))
        self._target = f"{conninfo_to_dict(server_dsn)['host']}/{_SOCKET}"
        self._path = folder / _SOCKET
        self._fates: Iterator[Fate] = itertools.chain(fates, itertools.repeat(Fate.PASS))
        self._late: list[tuple[asyncio.StreamWriter, bytes]] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def close(self) -> None:
        """Stop listening and hang up on everybody."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.close()
        for session in list(self._sessions):
            await asyncio.wait([session])

    async def deliver_late(self) -> int:
        """Hand the delayed requests to whatever of the server still listens for them."""
        late, self._late = self._late, []
        for writer, request in late:
            writer.write(request)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            await asyncio.sleep(0.2)
            writer.close()
        return len(late)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        self._writers.add(writer)
        try:
            await self._session(reader, writer)
        finally:
            writer.close()
            self._writers.discard(writer)
            self._sessions.discard(task)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_unix_connection(self._target)
        except OSError:
            return
        dropping = asyncio.Event()
        answers = asyncio.create_task(_answer(from_server, writer, dropping))
        requests = asyncio.create_task(self._request(reader, to_server, dropping))
        await asyncio.wait([answers, requests], return_when=asyncio.FIRST_COMPLETED)
        for task in (answers, requests):
            task.cancel()
        await asyncio.wait([answers, requests])
        if all(to_server is not late for late, _ in self._late):
            to_server.close()

    async def _request(
        self,
        reader: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        dropping: asyncio.Event,
    ) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            to_server.write(await _message(reader, has_type=False))
            while True:
                request = await _message(reader, has_type=True)
                if not _is_append(request):
                    to_server.write(request)
                    continue
                while not request.endswith(b"S\x00\x00\x00\x04"):
                    request += await _message(reader, has_type=True)
                self.appends += 1
                fate = next(self._fates)
                self.cuts += fate is not Fate.PASS
                if fate is Fate.DROP_REQUEST:
                    return
                if fate is Fate.DELAY_REQUEST:
                    self._late.append((to_server, request))
                    return
                if fate is Fate.DROP_ANSWER:
                    dropping.set()
                to_server.write(request)
                if fate is Fate.CUT_AFTER_REQUEST:
                    await to_server.drain()
                    return


@contextlib.asynccontextmanager
async def cutting(server_dsn: str, fates: Iterable[Fate] = ()) -> AsyncIterator[CuttingProxy]:
    """A proxy in front of the server of this connection string."""
    folder = Path(tempfile.mkdtemp(prefix="tg-cut-", dir="/tmp"))
    proxy = CuttingProxy(server_dsn, folder, fates)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
        shutil.rmtree(folder)


async def _answer(
    from_server: asyncio.StreamReader, writer: asyncio.StreamWriter, dropping: asyncio.Event
) -> None:
    dropped = b""
    with contextlib.suppress(ConnectionError):
        while chunk := await from_server.read(_CHUNK_BYTES):
            if dropping.is_set():
                dropped += chunk
                if dropped.endswith(_READY):
                    return
            else:
                writer.write(chunk)


async def _message(reader: asyncio.StreamReader, *, has_type: bool) -> bytes:
    head = await reader.readexactly(5 if has_type else 4)
    (length,) = struct.unpack(">i", head[-4:])
    return head + await reader.readexactly(length - 4)


def _is_append(message: bytes) -> bool:
    return message[:1] == b"B" and message[5:].split(b"\x00")[1].startswith(b"_pg3_")
