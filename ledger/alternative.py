"""What a what-if asks: which calls, and under which other prices."""

from uuid import UUID

import msgspec

from ledger.pricing import Multiplier, Price


class Alternative(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Other prices than those that were charged. What nothing here names stays as it was.

    book: whose prices apply instead (`ledger.streams.price`); None: those that were charged.
    moment_us: as of when the book is read; None: as of each call's own admission.
    prices: by the client's model name; they come before the book's.
    multipliers: by group, instead of the one that was frozen in the call's terms.
    """

    book: str | None = None
    moment_us: int | None = None
    prices: dict[str, Price] = {}
    multipliers: dict[str, Multiplier] = {}

    def __post_init__(self) -> None:
        if self.book is None and not self.prices and not self.multipliers:
            raise ValueError("name a book, a price or a group's multiplier to compare with")
        if self.book is None and self.moment_us is not None:
            raise ValueError("a moment says when a book is read; no book is named")

    def touches(self, model: str, group: str) -> bool:
        """Whether a call of this model and group could cost something else."""
        return self.book is not None or model in self.prices or group in self.multipliers


class Question(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Calls closed at positions `first` to `last`, of these accounts and models (none: of all).

    as_of: the last position that counts for what they were charged, and for prices: the same
    question has the same answer for ever.
    """

    alternative: Alternative
    first: int
    last: int
    as_of: int
    accounts: tuple[UUID, ...] = ()
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.first < 1 or self.last > self.as_of:
            raise ValueError("positions begin at 1 and end where it is asked as of")
