"""Talking to a signer: one JSON line there, one back, over a Unix socket of its data directory.

The process that listens is `tollgate/processes/signer.py`. Where it does not run, a command opens
the signer's folder itself; a lock lets one of them have it.
"""

import asyncio
import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

import msgspec

from ledger.errors import SigningRefused
from ledger.integrity.checkpoint import Checkpoint
from ledger.integrity.signer import LastSigned, Rotation, Signer, open_signer

LINE_BYTES_MAX = 64 * 1024
_ANSWERS_WITHIN_S = 10.0


class AskLast(msgspec.Struct, frozen=True, tag="last"):
    """What was signed last, and with which key this log is signed."""

    origin: str


class AskSignature(msgspec.Struct, frozen=True, tag="sign"):
    """Sign this checkpoint, which continues the last one."""

    origin: str
    size: int
    root: bytes
    proof: tuple[bytes, ...]


class AskStart(msgspec.Struct, frozen=True, tag="start"):
    """Begin with a checkpoint that another key signed."""

    note: str
    trusted: str


class AskRotation(msgspec.Struct, frozen=True, tag="prepare_rotation"):
    """Make a new key and vouch for it."""


class AskRotated(msgspec.Struct, frozen=True, tag="rotate"):
    """Use the new key from here on."""

    verifier: str


Ask = AskLast | AskSignature | AskStart | AskRotation | AskRotated


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer: what is remembered now, or a rotation, or why not."""

    last: LastSigned | None = None
    rotation: Rotation | None = None
    refusal: str = ""


class AnySigner(ABC):
    """A signer, wherever it is; `Signer` says what it does. Everything raises SigningRefused."""

    @abstractmethod
    async def ask(self, question: Ask) -> Said:
        """Bring a question there, and the answer back."""

    async def last(self, origin: str) -> LastSigned:
        """What was signed last, and with which key this log is signed."""
        return await self._remembered(AskLast(origin))

    async def sign(self, checkpoint: Checkpoint, proof: tuple[bytes, ...]) -> LastSigned:
        """Sign a checkpoint that continues the last one."""
        return await self._remembered(AskSignature(*checkpoint, proof))

    async def start_from(self, note: str, trusted: str) -> LastSigned:
        """Begin with a checkpoint that another key signed."""
        return await self._remembered(AskStart(note, trusted))

    async def prepare_rotation(self) -> Rotation:
        """A new key, and the old one's word for it."""
        said = await self.ask(AskRotation())
        if said.rotation is None:
            raise SigningRefused(said.refusal or "the signer gave no answer")
        return said.rotation

    async def rotate(self, verifier: str) -> LastSigned:
        """Use the new key from here on."""
        return await self._remembered(AskRotated(verifier))

    async def _remembered(self, question: Ask) -> LastSigned:
        said = await self.ask(question)
        if said.last is None:
            raise SigningRefused(said.refusal or "the signer gave no answer")
        return said.last


class SignerProcess(AnySigner):
    """The signer that listens on a socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    async def ask(self, question: Ask) -> Said:
        """See AnySigner."""
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                return await self._ask(question)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise SigningRefused(f"the signer does not answer at {self._socket}") from error

    async def _ask(self, question: Ask) -> Said:
        reader, writer = await asyncio.open_unix_connection(self._socket, limit=LINE_BYTES_MAX)
        try:
            writer.write(msgspec.json.encode(question) + b"\n")
            await writer.drain()
            line = await reader.readuntil(b"\n")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return msgspec.json.decode(line, type=Said)


class SignerFolder(AnySigner):
    """The signer of a folder, opened by this process for each question."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def ask(self, question: Ask) -> Said:
        """See AnySigner."""
        with open_signer(self._folder) as signer:
            return answer(signer, question)


class NearestSigner(AnySigner):
    """The process where it listens, else its folder."""

    def __init__(self, socket: Path, folder: Path) -> None:
        self._socket = socket
        self._process, self._own = SignerProcess(socket), SignerFolder(folder)

    async def ask(self, question: Ask) -> Said:
        """See AnySigner."""
        try:
            _, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return await self._own.ask(question)
        writer.close()
        return await self._process.ask(question)


def answer(signer: Signer, question: Ask) -> Said:
    """What a signer says to a question."""
    try:
        match question:
            case AskLast(origin):
                return Said(signer.last(origin))
            case AskSignature(origin, size, root, proof):
                return Said(signer.sign(Checkpoint(origin, size, root), proof))
            case AskStart(note, trusted):
                return Said(signer.start_from(note, trusted))
            case AskRotation():
                return Said(rotation=signer.prepare_rotation())
            case AskRotated(verifier):
                return Said(signer.rotate(verifier))
    except SigningRefused as refusal:
        return Said(refusal=str(refusal))
    except OSError as error:
        return Said(refusal=f"the signer cannot write what it signs: {error.strerror}")


async def serve_signer(said: Callable[[Ask], Said], socket: Path) -> asyncio.Server:
    """Answer on a socket that only its owner may use, until the server is closed.

    What a process that is gone left at that path is removed.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                line = await reader.readuntil(b"\n")
            writer.write(msgspec.json.encode(_answered(said, line)) + b"\n")
            await writer.drain()
        writer.close()

    with contextlib.suppress(FileNotFoundError):
        os.unlink(socket)
    mask = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(serve, socket, limit=LINE_BYTES_MAX)
    finally:
        os.umask(mask)


def _answered(said: Callable[[Ask], Said], line: bytes) -> Said:
    try:
        question = msgspec.json.decode(line, type=Ask)
    except msgspec.MsgspecError:
        return Said(refusal="not a question that a signer knows")
    return said(question)
