"""Everything the desk can answer instead of doing what was asked, and what HTTP calls it.

DeskError
├── Unauthorized             nobody we know asks; one answer for every cause
├── Forbidden                the caller's role does not allow this
├── InvalidInput             a value is not what it must be; names the field
│   ├── InvalidIdempotencyKey
│   └── InvalidFile          a file that was sent is not what it must be; names its rows
├── NotCaughtUp              this process is behind what the caller asked to see
├── QueryTooSlow             the question was given up after its time
├── TooManyJobs              as many long-running jobs wait or run as may
└── NotAnswered              a provider did not say what was asked of it

What the ledger answers is in ledger/errors.py; STATUS has every class of both trees.
"""

from collections.abc import Mapping, Sequence

from ledger import errors as ledger_errors


class DeskError(Exception):
    """Root of everything the desk raises on purpose."""

    code = "desk_error"


class Unauthorized(DeskError):
    """No token, a malformed one, an unknown one, a disabled owner: all are told alike."""

    code = "unauthorized"


class Forbidden(DeskError):
    """The caller is known and may not do this."""

    code = "forbidden"


class InvalidInput(DeskError):
    """A value is not what it must be. `field` is its name in the request."""

    code = "invalid_input"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class InvalidIdempotencyKey(InvalidInput):
    """The header is not 1 to 255 visible ASCII characters."""

    code = "invalid_idempotency_key"


class InvalidFile(InvalidInput):
    """A file is not what it must be. `rows`: where in it, and what is wrong there."""

    code = "invalid_file"

    def __init__(self, rows: Sequence[tuple[str, str]], message: str) -> None:
        super().__init__("file", message)
        self.rows = rows


class NotCaughtUp(DeskError):
    """This process has not seen yet what the caller asked to see."""

    code = "not_caught_up"


class QueryTooSlow(DeskError):
    """The question took longer than a question may; ask for less."""

    code = "query_too_slow"


class NotAnswered(DeskError):
    """A provider did not say what was asked of it, in words that hold no secret."""

    code = "not_answered"


class TooManyJobs(DeskError):
    """As many jobs wait or run as may."""

    code = "too_many_jobs"


STATUS: Mapping[type[Exception], int] = {
    Unauthorized: 401,
    Forbidden: 403,
    InvalidInput: 422,
    InvalidIdempotencyKey: 422,
    InvalidFile: 422,
    NotCaughtUp: 503,
    QueryTooSlow: 503,
    NotAnswered: 502,
    TooManyJobs: 429,
    DeskError: 500,
    ledger_errors.InvalidAmount: 422,
    ledger_errors.InvalidSelection: 422,
    ledger_errors.NotFound: 404,
    ledger_errors.Refused: 409,
    ledger_errors.AlreadyClosed: 409,
    ledger_errors.NotReserved: 409,
    ledger_errors.UnpricedService: 422,
    ledger_errors.NotAllowedNow: 409,
    ledger_errors.FourEyes: 409,
    ledger_errors.NumbersChanged: 409,
    ledger_errors.NotSealedYet: 409,
    ledger_errors.IdempotencyConflict: 409,
    ledger_errors.NotStored: 409,
    ledger_errors.OverBudget: 409,
    ledger_errors.OutOfRange: 409,
    ledger_errors.ClockDoubted: 503,
    ledger_errors.Outdated: 503,
    ledger_errors.VersionConflict: 503,
    ledger_errors.Withdrawn: 503,
    ledger_errors.WriterBusy: 503,
    ledger_errors.StoreUnavailable: 503,
    ledger_errors.OutcomeUnknown: 503,
    ledger_errors.UnknownTopic: 500,
    ledger_errors.VaultRefused: 500,
    ledger_errors.SigningRefused: 409,
    ledger_errors.IntegrityBroken: 500,
    ledger_errors.LedgerError: 500,
}
"""Class to HTTP status. The stable `code` is the class's own."""

UNAVAILABLE: Mapping[str, str] = {
    "not_caught_up": "This process is behind; ask again in a moment.",
    "query_too_slow": "This took too long; ask for less at a time.",
    "version_conflict": "Others change the same thing at the same time; try again.",
    "outdated": "What this was decided by has changed; try again.",
    "clock_doubted": "The database's clock jumped; nothing was held.",
    "writer_busy": "Too much is waiting for the database; try again.",
    "withdrawn": "This was given up before it was stored; try again.",
    "store_unavailable": "The database cannot be reached; nothing was changed.",
    "outcome_unknown": (
        "Whether this was done is not known yet; "
        "repeat it with the same Idempotency-Key to learn it."
    ),
}
"""What is told of a condition that passes; its own words may name hosts and stay in the log."""
