"""Identifiers: time-ordered ones for charges, derived ones for everything with an outside name.

A charge stream's id is a UUIDv7 (RFC 9562, 5.7), so that time partitions of the log stay
possible. All other streams carry 48 zero bits where a UUIDv7 carries its time: they sort before
every charge and share one partition.
"""

import hashlib
import os
import uuid
from uuid import UUID

from ledger import clock

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://tollgate.invalid/streams")
_WITHOUT_TIME = (1 << 80) - 1
_VERSION_7 = 0x7 << 76 | 0b10 << 62
"""The version and the variant, at their places in the 128 bits."""
_WITHOUT_VERSION = _WITHOUT_TIME & ~(0xF << 76 | 0b11 << 62)


def charge_id() -> UUID:
    """A fresh UUIDv7: 48 bits of milliseconds, then 74 random bits."""
    time_ms = clock.now_us() // 1_000
    random = int.from_bytes(os.urandom(10), "big") & _WITHOUT_VERSION
    return UUID(int=time_ms << 80 | random | _VERSION_7)


def charge_begun_us(charge: UUID) -> int:
    """When a charge's id was made, in microseconds since the epoch, by whole milliseconds."""
    return (charge.int >> 80) * 1_000


def entity_id() -> UUID:
    """A fresh random id for a stream that is not a charge; its time bits are zero."""
    return UUID(int=uuid.uuid4().int & _WITHOUT_TIME)


def derived_id(kind: str, name: str) -> UUID:
    """The id of the stream that stands for one outside fact, the same on every node, for ever.

    >>> derived_id("price", "gpt-4o") == derived_id("price", "gpt-4o")
    True
    """
    assert ":" not in kind, "two kinds could give the same id"
    return UUID(int=uuid.uuid5(_NAMESPACE, f"{kind}:{name}").int & _WITHOUT_TIME)


def window_id(owner: UUID, period: str, start_us: int) -> UUID:
    """The budget scope of one owner's spending window, e.g. the day that began at `start_us`."""
    return derived_id("window", f"{owner}:{period}:{start_us}")


def key_digest(secret: str) -> str:
    """The SHA-256 of an API key or an operator's token, in hex: all that is ever stored of it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def reversal_id(reversed_stream: UUID, attempt: int) -> UUID:
    """The stream of the n-th attempt (1, 2, ...) to reverse a fact.

    An attempt may only begin when all before it were rejected, and a rejection is final: so a
    fact is reversed at most once, whoever tries.
    """
    return derived_id("adjustment", f"reversal:{reversed_stream}:{attempt}")


def charge_adjustment_id(correction_id: UUID, charge_id: UUID) -> UUID:
    """The `adjustment_id` under which a correction adjusts a charge: once, however often tried."""
    return derived_id("correction", f"{correction_id}:{charge_id}")
