"""A10: what does not fit is put aside; the rest of its batch is stored as if it had come alone."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ledger.errors import OverBudget
from ledger.ids import entity_id
from ledger.store.append import NewEvent, Outcome
from ledger.streams.charge.events import Window
from ledger.usage import Usage
from tests.ledger.building import Call, Payer, credit, payer, refund, reserve, settle
from tests.ledger.store.appending import Connection, append, balance, connect, kept
from tests.servers import FreshDatabase, made_database
from tollgate.embedded.postgres import EmbeddedPostgres


@pytest.fixture
def twins(
    postgres_server: EmbeddedPostgres, empty_ledger: FreshDatabase
) -> Iterator[tuple[Connection, Connection]]:
    """Two empty ledgers."""
    with ExitStack() as stack:
        made = [stack.enter_context(made_database(postgres_server, empty_ledger)) for _ in range(2)]
        one, other = (stack.enter_context(connect(each.app_dsn)) for each in made)
        yield one, other


class Scene:
    """A few accounts with little money, and calls of theirs at every stage."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.payers = [payer() for _ in range(4)]
        self._windows = {one: entity_id() for one in self.payers}
        self._open: list[Call] = []
        self._sent: list[list[NewEvent]] = []

    def opening(self) -> list[list[NewEvent]]:
        return [[credit(one.account_id, self._random.randrange(50, 400))] for one in self.payers]

    def batch(self) -> list[list[NewEvent]]:
        """Groups without a cap first, as the writer sends them."""
        groups = [self._group() for _ in range(self._random.randrange(2, 40))]
        return sorted(groups, key=is_capped)

    def took(self, groups: list[list[NewEvent]], outcomes: list[Outcome]) -> None:
        self._sent += groups
        refused = {
            group[0].stream_id
            for group, outcome in zip(groups, outcomes, strict=True)
            if outcome.refusal is not None
        }
        self._open = [call for call in self._open if call.stream_id not in refused]

    def _group(self) -> list[NewEvent]:
        chance = self._random.random()
        if chance < 0.1 and self._sent:
            return self._random.choice(self._sent)  # sent again
        if chance < 0.2:
            return [credit(self._any().account_id, self._random.randrange(1, 60))]
        if chance < 0.5 and self._open:
            call = self._open.pop(self._random.randrange(len(self._open)))
            if self._random.random() < 0.5:
                return call.next(refund())
            return call.next(settle(Usage(input=self._random.randrange(1, 150))))
        return self._hold()

    def _hold(self) -> list[NewEvent]:
        paying, call = self._any(), Call()
        limits: dict[str, Any] = {
            "key_limit_nanos": self._random.choice([None, 120]),
            "windows": self._random.choice([(), (Window(self._windows[paying], 90),)]),
        }
        self._open.append(call)
        return call.next(reserve(paying.cover(**limits), self._random.randrange(0, 120)))

    def _any(self) -> Payer:
        return self._random.choice(self.payers)


def is_capped(group: list[NewEvent]) -> bool:
    return type(group[0].event).__name__ == "QuotaReserved"


@pytest.mark.parametrize("seed", range(12))
def test_a10_a_batch_gives_what_its_groups_give_one_after_the_other(
    twins: tuple[Connection, Connection], seed: int
) -> None:
    together, alone = twins
    scene = Scene(seed)
    misfits = 0
    for group in scene.opening():
        append(together, group)
        append(alone, group)
    for _ in range(12):
        groups = scene.batch()
        outcomes = append(together, *groups).outcomes
        one_by_one = [append(alone, group).outcomes[0] for group in groups]
        for outcome, expected in zip(outcomes, one_by_one, strict=True):
            assert type(outcome.refusal) is type(expected.refusal)
            assert str(outcome.refusal) == str(expected.refusal)
            assert outcome.was_stored_before == expected.was_stored_before
            assert outcome.positions == expected.positions
            misfits += isinstance(outcome.refusal, OverBudget)
        scene.took(groups, outcomes)
    for one in scene.payers:
        assert balance(together, one.account_id) == balance(alone, one.account_id)
        assert balance(together, one.key_id) == balance(alone, one.key_id)
    assert [each.state for each in kept(together)] == [each.state for each in kept(alone)]
    assert all(each.leaf == each.expected_leaf() for each in kept(together))
    assert misfits > 10, "the scene is too rich"
