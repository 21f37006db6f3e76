"""In whatever order commands come, however they are split into batches, and how often each is sent:
the totals are the same.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.ids import entity_id
from ledger.pricing import Price
from ledger.store.append import NewEvent, prepare
from ledger.streams.charge import rules
from ledger.usage import Usage
from tests.ledger.books import Budget
from tests.ledger.building import Call, Payer, credit, payer, refund, reserve, settle
from tests.ledger.logs import DatabaseLog, Log, PureLog
from tests.ledger.store.appending import connect
from tests.servers import FreshDatabase

PRICE = Price(rates={"input": 1_000_000, "output": 2_000_000})
PAYERS = 2

Group = Sequence[NewEvent]


class Story(NamedTuple):
    """What happens to one stream: a credit, or a call with all that follows."""

    who: int
    amount_nanos: int
    usage: Usage
    ending: str
    delta_nanos: int

    def groups(self, paying: Sequence[Payer]) -> list[Group]:
        """What is appended for it, in its own order, under ids of its own."""
        one = paying[self.who]
        if self.ending == "credit":
            return [[credit(one.account_id, self.amount_nanos)]]
        call = Call()
        # What caps refuse depends on the order, and is another test's affair.
        groups: list[Group] = [
            call.next(reserve(one.cover(overdraft_nanos=10**9), self.amount_nanos))
        ]
        if self.ending == "refunded":
            return [*groups, call.next(refund())]
        groups.append(call.next(settle(self.usage, PRICE)))
        if self.ending == "adjusted":
            adjust = rules.Adjust(entity_id(), self.delta_nanos, "refund", "test")
            groups.append(call.next(adjust))
        return groups


STORIES = st.lists(
    st.builds(
        Story,
        st.integers(0, PAYERS - 1),
        st.integers(1, 90),
        st.builds(Usage, input=st.integers(0, 40), output=st.integers(0, 40)),
        st.sampled_from(["credit", "settled", "refunded", "adjusted"]),
        st.integers(-60, 60),
    ),
    min_size=1,
    max_size=8,
)


def batches(streams: Sequence[Sequence[Group]], chance: random.Random) -> list[list[Group]]:
    """All groups, each stream in its order, at most one of a stream in a batch, many sent twice."""
    left = [list(groups) for groups in streams]
    sent: list[Group] = []
    made = []
    while any(left):
        waiting = [groups for groups in left if groups]
        chosen = chance.sample(waiting, chance.randint(1, len(waiting)))
        batch = [groups.pop(0) for groups in chosen]
        sent += batch
        if chance.random() < 0.5:
            batch.append(chance.choice(sent))
        made.append(sorted(batch, key=_has_cap))
    return made


def _has_cap(group: Group) -> bool:
    return any(effect[-1] is not None for effect in prepare(group).effects)


def totals(log: Log, stories: Sequence[Story], chance: random.Random) -> list[Budget]:
    """Held, posted and how often moved, of each account and key, whatever their ids are."""
    paying = [payer() for _ in range(PAYERS)]
    streams = [story.groups(paying) for story in stories]
    for batch in batches(streams, chance):
        assert all(outcome.refusal is None for outcome in log.append(*batch))
    found = log.budgets()
    nothing = (0, 0, 0, 0)
    scopes = [scope for one in paying for scope in (one.account_id, one.key_id)]
    return [(*found.get(scope, nothing)[:3], 0) for scope in scopes]


@settings(max_examples=200, deadline=None)
@given(STORIES, st.randoms(), st.randoms())
def test_by_the_rules_alone(stories: list[Story], one: random.Random, other: random.Random) -> None:
    shuffled = one.sample(stories, len(stories))
    assert totals(PureLog(), stories, one) == totals(PureLog(), shuffled, other)


def test_by_the_append_function(ledger_database: FreshDatabase) -> None:
    with connect(ledger_database.app_dsn) as connection:

        @settings(max_examples=25, deadline=None)
        @given(STORIES, st.randoms(), st.randoms())
        def the_same(stories: list[Story], one: random.Random, other: random.Random) -> None:
            expected = totals(PureLog(), stories, one)
            for chance in (one, other):
                assert totals(DatabaseLog(connection), stories, chance) == expected

        the_same()
