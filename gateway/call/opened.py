"""The answer of a candidate, as far as it has come, and what is known where nobody answered."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from gateway.channels.key_failures import NOTHING_SAID, KeyFinding
from gateway.channels.routing import Candidate
from gateway.errors import GatewayError, StreamBrokenOff
from gateway.formats.contract import StreamReader
from gateway.formats.translator import Asking, Translator, Whole
from gateway.formats.values import Answer, Piece
from gateway.http.upstream import UpstreamAnswer
from ledger import clock
from ledger.streams.charge.events import Attempt
from ledger.usage import Usage

_NOTHING = Usage()


def elapsed_ms(since_s: float) -> int:
    """Whole milliseconds since a moment on the monotonic clock."""
    return round((clock.monotonic_s() - since_s) * 1000)


class Unanswered(Exception):
    """Nobody answered: what to tell the client, and what was tried.

    `spent`: the answer of the last who was asked, where it failed and tells what it used.
    """

    def __init__(
        self, error: GatewayError, attempts: Sequence[Attempt], spent: "Opened | None" = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.attempts = tuple(attempts)
        self.spent = spent


@dataclass(slots=True)
class Opened:
    """What a candidate answers: whole, or a stream with its first pieces."""

    candidate: Candidate
    translator: Translator
    upstream: UpstreamAnswer
    attempts: tuple[Attempt, ...]
    started_s: float
    ttft_ms: int
    asking: Asking
    format: str
    """What it was asked for besides the call, and in which format."""
    key_id: UUID | None = None
    patience_s: float = 0.0
    """How long its stream may be silent."""
    said_of_key: KeyFinding = NOTHING_SAID
    """What a status other than 200 says of the key."""
    losses: tuple[str, ...] = ()
    whole: Whole | None = None
    reader: StreamReader | None = None
    first: list[Piece] = field(default_factory=list)
    rest: AsyncIterator[list[Piece]] | None = None
    failed_answer: Answer | None = None
    """What the body of a status other than 200 tells besides its error."""
    failure: GatewayError | None = None
    """What went wrong before there was anything to give; only where `is_spent`."""

    def take_first(self) -> list[Piece]:
        """The first pieces, which are kept no longer."""
        first, self.first = self.first, []
        return first

    @property
    def upstream_model(self) -> str:
        """The provider's own name for the model."""
        return self.asking.suffix.model

    @property
    def is_spent(self) -> bool:
        """Whether the provider says that it failed, and tells what it used all the same."""
        told: StreamReader | Answer | None = self.reader
        if self.whole is not None:
            told = self.whole.answer
        if told is None or told.error is None or isinstance(told.error, StreamBrokenOff):
            return False
        return told.usage not in (None, _NOTHING)

    def final_attempts(self, outcome: str) -> tuple[Attempt, ...]:
        """All attempts, the delivering one last."""
        last = Attempt(
            channel_id=self.candidate.channel_id,
            outcome=outcome,
            status=self.upstream.status,
            ttft_ms=self.ttft_ms,
            duration_ms=elapsed_ms(self.started_s),
        )
        return (*self.attempts, last)
