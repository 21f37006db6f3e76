"""From which event on a served row is not what the log says.

A row's history is s0, s1, ..., sn: no row at first, then its state after each of the events that
touch it, in the order of positions. sn is what a replay gives, and the served row is another. Its
**first divergent event** is

- if the served row is some earlier state: the event after the last such state. The row is what the
  log says up to there, and shows nothing of that event and what followed;
- if it is no state of the history: the same for each differing column by itself, and of these
  events the earliest. Before it the column was once what is served, from it on never again. A
  column that never had the served value is wrong from the row's first event on.

One pass over the events that can touch such rows; memory holds one state of each.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from ledger.codec import UPCASTERS
from ledger.store.reader import RECORDED_COLUMNS, Recorded, recorded
from ledger.streams.contract import AccountEvent
from projections.contract import Key, Table
from projections.storage import Connection

_ROWS_PER_FETCH = 2_000

_EVENTS = (
    f"select {RECORDED_COLUMNS} from ledger.event "  # noqa: S608 - a constant
    "where position <= %b and topic = any(%b) order by position"
)
_EVENTS_OF_ACCOUNTS = _EVENTS.replace("topic =", "account_id = any(%b) and topic =")


class Suspect:
    """A row that is served otherwise than a replay gives it; `served` None: it is not served."""

    def __init__(self, table: Table, key: Key, served: Any) -> None:  # noqa: ANN401 - any row
        self.key = key
        self.served = served
        self._fold = table.fold
        self._documents = {c.name for c in table.columns() if c.sql_type == "json"}
        self._columns = table.row.__struct_fields__
        self._state: Any = None
        self._first: int | None = None
        self._after_same: int | None = None
        self._after_same_column: dict[str, int] = {}

    def step(self, event: Recorded) -> None:
        """An event that touches the row, in the order of positions."""
        if self._first is None:
            self._first = event.position
        same = {name for name in self._columns if self._is_same(name)}
        if (self._state is None) == (self.served is None) and len(same) == len(self._columns):
            self._after_same = event.position
        for name in same:
            self._after_same_column[name] = event.position
        self._state = self._fold(self.key, self._state, [event])

    def first_divergent(self) -> int | None:
        """After the last event: the position; None if no event touches the row."""
        if self._after_same is not None or self._first is None:
            return self._after_same
        return min(
            (
                self._after_same_column.get(name, self._first)
                for name in self._columns
                if not self._is_same(name)
            ),
            default=self._first,
        )

    def _is_same(self, name: str) -> bool:
        if self._state is None or self.served is None:
            return self._state is self.served
        ours, theirs = getattr(self.served, name), getattr(self._state, name)
        if name in self._documents and ours is not None and theirs is not None:
            return bool(msgspec.json.decode(ours) == msgspec.json.decode(theirs))
        return bool(ours == theirs)


def find_divergence(
    connection: Connection, table: Table, suspects: Sequence[Suspect], position: int
) -> dict[Key, int | None]:
    """For each row's key the position of its first divergent event, looking up to `position`.

    Needs a transaction; its events can all be read, for a replay has just done so.
    """
    by_handle = {}
    handle_of = table.handle_maker()
    for suspect in suspects:
        by_handle[handle_of(suspect.key)] = suspect
    topics = table.topics()
    accounts = _accounts(table, suspects)
    with connection.cursor("suspected", binary=True) as cursor:
        cursor.itersize = _ROWS_PER_FETCH
        if accounts is None:
            cursor.execute(_EVENTS, (position, [*topics, *UPCASTERS]))
        else:
            cursor.execute(_EVENTS_OF_ACCOUNTS, (position, accounts, [*topics, *UPCASTERS]))
        for row in cursor:
            event = recorded(row)
            for key in table.touches(event) if event.event.TOPIC in topics else ():
                touched = by_handle.get(handle_of(key))
                if touched is not None:
                    touched.step(event)
    return {suspect.key: suspect.first_divergent() for suspect in suspects}


def _accounts(table: Table, suspects: Sequence[Suspect]) -> list[Any] | None:
    """The accounts that alone have events of these rows; None where others may have, too."""
    if "account_id" not in table.key or not all(issubclass(e, AccountEvent) for e in table.events):
        return None
    place = table.key.index("account_id")
    return list({suspect.key[place] for suspect in suspects})
