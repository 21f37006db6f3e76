"""Any sequence of commands, by several nodes, leaves books in which every invariant holds.

One machine, two logs: the rules alone, and the append function of the database. The numbers I-..
name the invariants that `Books` checks at every position.
"""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from ledger.errors import (
    AlreadyClosed,
    IdempotencyConflict,
    NotReserved,
    OverBudget,
    Refused,
    VersionConflict,
)
from ledger.ids import derived_id, entity_id
from ledger.pricing import Multiplier, Price
from ledger.store.append import NewEvent, Outcome
from ledger.streams import adjustment, credit
from ledger.streams.charge import rules
from ledger.streams.charge.events import Terms, Window
from ledger.streams.credit import CreditGranted
from ledger.usage import Usage
from tests.ledger.books import Books
from tests.ledger.building import Call, Payer, refund, reserve, settle
from tests.ledger.logs import DatabaseLog, Log, PureLog
from tests.ledger.store.appending import connect
from tests.servers import FreshDatabase

AMOUNTS = st.integers(1, 120)
HOLDS = st.integers(0, 90)
PAYERS = st.integers(0, 2)
OVERDRAFTS = st.sampled_from([0, 0, 0, 40])
KEY_LIMITS = st.sampled_from([None, None, 150])
WINDOW_CAPS = st.sampled_from([None, 100])
MULTIPLIERS = st.sampled_from([Multiplier(), Multiplier(3, 2), Multiplier(1, 3), Multiplier(0, 1)])
PRICES = st.sampled_from(
    [
        Price(rates={"input": 1_000_000, "output": 2_000_000}),
        Price(rates={"input": 333_333, "cache_read": 1, "reasoning": 1_500_000, "calls": 3}),
    ]
)
USAGES = st.builds(
    Usage,
    input=st.integers(0, 40),
    cache_read=st.integers(0, 9),
    output=st.integers(0, 40),
    reasoning=st.integers(0, 9),
    calls=st.integers(0, 1),
)


Groups = Sequence[NewEvent] | MultipleResults[Sequence[NewEvent]]


class ChargeMachine(RuleBasedStateMachine):
    """Accounts, calls and outside facts, driven in any order."""

    calls = Bundle("calls")
    groups = Bundle("groups")

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log
        self.books = Books(log.base)
        account_ids = [entity_id(), entity_id()]
        # Two accounts; the first has two keys.
        self.payers = [Payer(account_ids[n // 2], entity_id()) for n in range(3)]
        self.windows = [entity_id() for _ in range(3)]
        self.namespace = entity_id()

    @rule(target=groups, who=PAYERS, amount=AMOUNTS, fact=st.integers(0, 3))
    def credit_once_per_fact(self, who: int, amount: int, fact: int) -> Groups:
        """I-21: same key and request, same result; another request, a conflict."""
        stream_id = derived_id("fact", f"{self.namespace}:{fact}")
        command = credit.Grant(
            account_id=self.payers[who].account_id,
            amount_nanos=amount,
            source="manual",
            request_sha256=f"{who}:{amount}",
            actor="test",
        )
        state = credit.Credit()
        for event in self.log.state_of(stream_id):
            assert isinstance(event, CreditGranted)
            state = credit.evolve(state, event)
        try:
            events = credit.decide(state, command)
        except IdempotencyConflict:
            assert state.granted is not None
            assert state.granted.request_sha256 != command.request_sha256
            return multiple()
        if not events:
            return multiple()
        group = [NewEvent(stream_id, 1, events[0])]
        self._must_store(group)
        return group

    @rule(
        target=calls,
        who=PAYERS,
        hold=HOLDS,
        multiplier=MULTIPLIERS,
        overdraft=OVERDRAFTS,
        key_limit=KEY_LIMITS,
        window_cap=WINDOW_CAPS,
    )
    def hold(
        self,
        who: int,
        hold: int,
        multiplier: Multiplier,
        overdraft: int,
        key_limit: int | None,
        window_cap: int | None,
    ) -> Call | MultipleResults[Call]:
        windows = () if window_cap is None else (Window(self.windows[who], window_cap),)
        cover = self.payers[who].cover(
            overdraft_nanos=overdraft, key_limit_nanos=key_limit, windows=windows
        )
        terms = Terms(model="m", group="g", price_version=1, multiplier=multiplier)
        call = Call()
        fits = self._fits(cover.account_id, hold, overdraft)
        fits &= key_limit is None or self._fits(cover.key_id, hold, key_limit)
        fits &= window_cap is None or self._fits(self.windows[who], hold, window_cap)
        outcome = self._try(call, reserve(cover, hold, terms))
        assert (outcome.refusal is None) == (fits or hold == 0)
        assert outcome.refusal is None or isinstance(outcome.refusal, OverBudget)
        return call if outcome.refusal is None else multiple()

    @rule(call=calls, hold=st.integers(1, 60))
    def grow(self, call: Call, hold: int) -> None:
        if call.state.is_closed:
            with pytest.raises(AlreadyClosed):
                call.next(rules.Extend(hold))
            return
        outcome = self._try(call, rules.Extend(hold))
        assert outcome.refusal is None or isinstance(outcome.refusal, OverBudget)

    @rule(call=calls, usage=USAGES, price=PRICES)
    def settle_call(self, call: Call, usage: Usage, price: Price) -> None:
        command = settle(usage, price)
        if call.state.is_closed:
            with pytest.raises(AlreadyClosed):
                call.next(command)
            return
        if self._try(call, command).refusal is None:
            return
        # Above the hold and no money left: settled within the hold, which nothing can refuse.
        assert self._try(call, replace(command, covered_nanos=0)).refusal is None

    @rule(call=calls)
    def refund_call(self, call: Call) -> None:
        if call.state.is_closed:
            with pytest.raises(AlreadyClosed):
                call.next(refund())
        else:
            assert self._try(call, refund()).refusal is None

    @rule(call=calls, delta=st.integers(-60, 60), number=st.integers(0, 2))
    def adjust(self, call: Call, delta: int, number: int) -> None:
        command = rules.Adjust(
            adjustment_id=derived_id("adjustment", f"{call.stream_id}:{number}"),
            delta_nanos=delta,
            reason="dispute",
            actor="test",
        )
        if not call.state.is_closed:
            with pytest.raises(NotReserved):
                call.next(command)
            return
        is_new = command.adjustment_id not in call.state.adjustments
        assert bool(rules.decide(call.state, command)) == is_new
        if is_new:
            assert self._try(call, command).refusal is None

    @rule(
        who=PAYERS,
        amount=st.integers(-90, 90).filter(bool),
        number=st.integers(0, 3),
        proposes=st.integers(0, 2),
        approves=st.integers(0, 2),
        does=st.sampled_from(["propose", "approve", "approve", "reject"]),
    )
    def adjust_by_hand(
        self, who: int, amount: int, number: int, proposes: int, approves: int, does: str
    ) -> None:
        """Two people, once; below zero if need be: nothing refuses what they agreed on."""
        stream_id = derived_id("by_hand", f"{self.namespace}:{number}")
        state = adjustment.Adjustment()
        for event in self.log.state_of(stream_id):
            state = adjustment.evolve(state, event)  # type: ignore[arg-type]
        propose = adjustment.Propose(
            kind="manual",
            reason="other",
            request_sha256=f"{who}:{amount}",
            actor=f"operator:{proposes}",
            account_id=self.payers[who].account_id,
            amount_nanos=amount,
        )
        commands: dict[str, adjustment.Command] = {
            "propose": propose,
            "approve": adjustment.Approve(f"operator:{approves}"),
            "reject": adjustment.Reject("r", f"operator:{approves}"),
        }
        try:
            events = adjustment.decide(state, commands[does])
        except Refused:
            return
        if events:
            self._must_store(
                [NewEvent(stream_id, state.version + n, event) for n, event in enumerate(events, 1)]
            )

    @rule(call=calls, usage=USAGES, price=PRICES, settles_first=st.booleans())
    def two_nodes_close(self, call: Call, usage: Usage, price: Price, settles_first: bool) -> None:
        """I-12: exactly one wins, and the other learns it."""
        if call.state.is_closed:
            return
        here, there = self._another_view(call), self._another_view(call)
        groups = [here.next(settle(usage, price, covered_nanos=0)), there.next(refund())]
        views = [here, there]
        if not settles_first:
            groups.reverse()
            views.reverse()
        won, lost = self.log.append(*groups)
        assert won.refusal is None
        assert isinstance(lost.refusal, VersionConflict)
        call.state = views[0].state
        with pytest.raises(AlreadyClosed):
            call.next(refund())

    @rule(call=calls, later=st.integers(1, 2))
    def close_a_closed_call(self, call: Call, later: int) -> None:
        """I-11: not even a node that decided without reading the stream closes it again."""
        if not call.state.is_closed:
            return
        view = self._another_view(call)
        assert call.state.opening is not None
        held = call.state.opening.hold_nanos
        view.state = replace(call.state, is_closed=False, held_nanos=held)
        (closing,) = view.next(refund())
        (outcome,) = self.log.append([closing._replace(version=call.state.version + later)])
        assert isinstance(outcome.refusal, VersionConflict)

    @rule(
        closing=st.lists(calls, max_size=3, unique_by=lambda call: call.stream_id),
        holds=st.lists(st.tuples(PAYERS, st.integers(1, 90)), min_size=1, max_size=4),
    )
    def batch(self, closing: list[Call], holds: list[tuple[int, int]]) -> None:
        """Releases first, then holds in order: each is decided as if it came alone."""
        ending = [call for call in closing if not call.state.is_closed]
        released = [call.next(refund()) for call in ending]
        reserved = [Call().next(reserve(self.payers[who].cover(), amount)) for who, amount in holds]
        outcomes = self.log.append(*released, *reserved)
        assert all(outcome.refusal is None for outcome in outcomes[: len(released)])
        self.balance_is_the_fold()
        for group, outcome in zip(reserved, outcomes[len(released) :], strict=True):
            if outcome.refusal is None:
                call = Call()
                call.stream_id = group[0].stream_id
                call.state = rules.evolve(rules.Charge(), group[0].event)  # type: ignore[arg-type]
                self._must_store(call.next(refund()))

    @rule(group=groups)
    def the_same_group_again(self, group: Sequence[NewEvent]) -> None:
        """I-24: what was stored is recognised, whatever happened since."""
        (outcome,) = self.log.append(group)
        assert outcome.was_stored_before
        assert not self.log.entries(self.books.position)

    @invariant()
    def balance_is_the_fold(self) -> None:
        """Everything `Books` checks, and the budgets are what it folded."""
        self.books.feed(self.log.entries(self.books.position))
        assert self.log.budgets() == self.books.budgets

    def teardown(self) -> None:
        """I-09: everything can be closed, and then nothing is held."""
        for stream_id, book in self.books.charges.items():
            if book.closings == 0:
                call = Call()
                call.stream_id = stream_id
                for event in self.log.state_of(stream_id):
                    call.state = rules.evolve(call.state, event)  # type: ignore[arg-type]
                self._must_store(call.next(refund()))
        self.balance_is_the_fold()
        assert all(book.closings == 1 for book in self.books.charges.values())
        assert all(held == 0 for held, *_ in self.books.budgets.values())

    def _fits(self, scope: object, hold: int, cap: int) -> bool:
        return self.books.used(scope) + hold <= cap  # type: ignore[arg-type]

    def _another_view(self, call: Call) -> Call:
        view = Call()
        view.stream_id, view.state = call.stream_id, call.state
        return view

    def _try(self, call: Call, command: rules.Command) -> Outcome:
        """Decide and append; the call moves on only if it was stored, and repeats are known."""
        before = call.state
        group = call.next(command)
        (outcome,) = self.log.append(group)
        if outcome.refusal is not None:
            call.state = before
        else:
            (again,) = self.log.append(group)
            assert again == Outcome(outcome.positions, None, was_stored_before=True)
        return outcome

    def _must_store(self, group: Sequence[NewEvent]) -> None:
        (outcome,) = self.log.append(group)
        assert outcome.refusal is None


def run(make_log: Callable[[], Log], examples: int, steps: int) -> None:
    class Machine(ChargeMachine):
        def __init__(self) -> None:
            super().__init__(make_log())

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_the_rules_alone_keep_the_books_right(is_long: bool) -> None:
    run(PureLog, *((1_000, 50) if is_long else (150, 30)))


def test_the_append_function_keeps_the_books_right(
    ledger_database: FreshDatabase, is_long: bool
) -> None:
    with connect(ledger_database.app_dsn) as connection:
        run(lambda: DatabaseLog(connection), *((150, 40) if is_long else (40, 25)))
