"""Everything the ledger can answer instead of doing what was asked, as one tree.

LedgerError
├── InvalidAmount            an amount that is not written as amounts are
├── InvalidSelection         a period, a type or a table that cannot be asked for
├── Refused                  a rule says no; nothing was changed
│   ├── AlreadyClosed        the charge has its closing event
│   ├── NotReserved          nothing is held under this id
│   ├── NotFound             no such account, key, channel, ...
│   ├── UnpricedService      the model has no price in this service (batch, flex, priority, ...)
│   ├── NotAllowedNow        the stream's state does not admit this (revoked, removed, suspended)
│   ├── FourEyes             two people must agree, and this is the same one, or nobody by name
│   ├── NumbersChanged       what was approved is not what would be done now
│   ├── NotSealedYet         no signed checkpoint covers this position or size yet
│   └── IdempotencyConflict  the same idempotency key came with another request
├── NotStored                the database decided; nothing of the group was stored
│   ├── OverBudget           a hold does not fit its scope; names scope, available and needed
│   ├── VersionConflict      somebody else appended to the stream first, or it is closed
│   ├── OutOfRange           a balance would leave the range that can be represented
│   └── ClockDoubted         a hold, while the database's clock is not believed
├── WriterBusy               too much is queued; reservations are refused first
├── StoreUnavailable         the database cannot be reached; nothing of this was stored
├── OutcomeUnknown           the connection was lost in the middle; whether it was stored is unknown
├── Withdrawn                whoever asked took it back before it was sent; nothing was stored
├── UnknownTopic             a stored event this release does not know; nothing may fold past it
├── VaultRefused             a sealed value is not what its place says (moved, altered, wrong key)
├── SigningRefused           the signer does not sign this log, or not from here; names the reason
└── IntegrityBroken          the stored tree is not that of the log: run fsck
"""

from uuid import UUID


class LedgerError(Exception):
    """Root of everything the ledger raises on purpose."""

    code = "ledger_error"


class InvalidAmount(LedgerError):
    """The text is not an amount: 1-9 digits, optionally a point and 1-9 digits."""

    code = "invalid_amount"

    def __init__(self, text: str) -> None:
        super().__init__(f"not an amount in USD: {text[:40]!r}; write it like 12.50")


class InvalidSelection(LedgerError):
    """A part of the log that cannot be asked for: reversed, not in the past, of no known type."""

    code = "invalid_selection"


class Refused(LedgerError):
    """A rule says no; nothing was changed."""

    code = "refused"


class AlreadyClosed(Refused):
    """The charge already has its one closing event."""

    code = "already_closed"


class NotReserved(Refused):
    """Nothing is held under this charge id."""

    code = "not_reserved"


class NotFound(Refused):
    """There is no such stream."""

    code = "not_found"


class UnpricedService(Refused):
    """The model is not sold in this service; the standard price is not what it costs."""

    code = "unpriced_service"

    def __init__(self, service: str) -> None:
        super().__init__(f"there is no price for the service {service[:40]!r}")
        self.service = service


class NotAllowedNow(Refused):
    """The stream is in a state that does not admit this."""

    code = "not_allowed_now"


class FourEyes(Refused):
    """Two operators must agree: whoever proposes is never the one who approves."""

    code = "four_eyes"


class NumbersChanged(Refused):
    """What was proposed is not what would be done now: propose it anew."""

    code = "numbers_changed"


class NotSealedYet(Refused):
    """No signed checkpoint covers this position or size yet."""

    code = "not_sealed_yet"


class IdempotencyConflict(Refused):
    """The same idempotency key was used before with another request."""

    code = "idempotency_conflict"


class NotStored(LedgerError):
    """The database decided against the group; nothing of it was stored."""

    code = "not_stored"


class OverBudget(NotStored):
    """A hold does not fit into one of its scopes."""

    code = "over_budget"

    def __init__(self, scope: UUID, available_nanos: int, needed_nanos: int) -> None:
        super().__init__(f"scope {scope}: {available_nanos} available, {needed_nanos} needed")
        self.scope = scope
        self.available_nanos = available_nanos
        self.needed_nanos = needed_nanos


class VersionConflict(NotStored):
    """The stream has moved on, or is closed: read it again and decide again."""

    code = "version_conflict"


class OutOfRange(NotStored):
    """A balance would leave the range that can be represented."""

    code = "out_of_range"


class ClockDoubted(NotStored):
    """The database's clock jumped, so a hold would be of a wrong day; all else is stored."""

    code = "clock_doubted"


class Outdated(NotStored):
    """What it was decided by has changed meanwhile: it is to be decided again."""

    code = "outdated"


class WriterBusy(LedgerError):
    """Too much is queued for the database; nothing was stored."""

    code = "writer_busy"


class StoreUnavailable(LedgerError):
    """The database cannot be reached; nothing of this was stored."""

    code = "store_unavailable"


class OutcomeUnknown(LedgerError):
    """The connection was lost in the middle and did not come back in time.

    Sending the very same events again tells: what was stored the first time is recognised.
    """

    code = "outcome_unknown"


class Withdrawn(LedgerError):
    """Taken back before it was sent to the database; nothing was stored."""

    code = "withdrawn"


class UnknownTopic(LedgerError):
    """A stored event of a type this release does not know."""

    code = "unknown_topic"


class VaultRefused(LedgerError):
    """A sealed value was moved, altered, or sealed under another secret."""

    code = "vault_refused"


class SigningRefused(LedgerError):
    """The signer does not sign this: it is not the log it signed before, or it does not answer."""

    code = "signing_refused"


class IntegrityBroken(LedgerError):
    """Hashes that must be stored are not there: `fsck` names what is wrong."""

    code = "integrity_broken"
