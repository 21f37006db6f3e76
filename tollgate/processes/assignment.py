"""What a child process is told: through an inherited pipe, never on a command line."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:  # the signer is told what it needs, and loads nothing else
    from tollgate.installation import Installation

DRAIN_S = 60
"""How long a worker that is asked to stop lets its calls go on."""


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a worker or the background process needs; it holds secrets.

    `listening_fd` is the inherited socket, None for a process that takes no calls.
    `signer_socket`: where the signer listens; empty: nothing is sealed.
    """

    role: str
    number: int
    app_dsn: str
    redis_url: str
    crypto_secret: str
    listening_fd: int | None
    trusted_proxies: tuple[str, ...]
    request_body_max_bytes: int
    streaming_timeout_s: int
    relay_timeout_s: int
    workers: int
    media_max_bytes: int = 20 * 1024 * 1024
    media_timeout_s: int = 30
    media_networks: tuple[str, ...] = ()
    keeps_translated_responses: bool = True
    signer_folder: str = ""
    signer_socket: str = ""

    @property
    def name(self) -> str:
        """`worker-1`, `background`: as in the log."""
        return f"{self.role}-{self.number}" if self.number else self.role

    def __repr__(self) -> str:
        return f"Assignment({self.name})"


def assignment(
    installation: "Installation", role: str, number: int, listening_fd: int | None
) -> Assignment:
    """What the child of this role and number is told."""
    settings = installation.settings
    return Assignment(
        role=role,
        number=number,
        app_dsn=installation.app_dsn,
        redis_url=installation.redis_url,
        crypto_secret=installation.crypto_secret,
        listening_fd=listening_fd,
        trusted_proxies=tuple(str(network) for network in settings.trusted_proxies),
        request_body_max_bytes=settings.request_body_max_bytes,
        streaming_timeout_s=settings.streaming_timeout_s,
        relay_timeout_s=settings.relay_timeout_s,
        workers=settings.workers,
        media_max_bytes=settings.media_max_bytes,
        media_timeout_s=settings.media_timeout_s,
        media_networks=tuple(str(network) for network in settings.media_networks),
        keeps_translated_responses=settings.keeps_translated_responses,
        signer_folder=str(settings.data.signer),
        signer_socket=str(settings.data.signer_socket),
    )


def signer_assignment(installation: "Installation") -> Assignment:
    """What the signer is told: no address of a server, and no secret."""
    return msgspec.structs.replace(
        assignment(installation, "signer", 0, None), app_dsn="", redis_url="", crypto_secret=""
    )


def send(given: Assignment) -> int:
    """Put an assignment into a pipe; the descriptor to inherit, which the caller closes."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        # Smaller than the least a pipe holds (4 KiB on Linux), so nobody has to be reading yet.
        pipe.write(msgspec.json.encode(given))
    return reading


def receive(arguments: Sequence[str]) -> Assignment:
    """The assignment of this process; its command line ends with the number of the descriptor."""
    with os.fdopen(int(arguments[-1]), "rb") as pipe:
        return msgspec.json.decode(pipe.read(), type=Assignment)
