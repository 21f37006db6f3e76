"""Adjustments as pure rules: two people, once, whatever is repeated, split or swapped."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.alternative import Alternative, Question
from ledger.errors import FourEyes, IdempotencyConflict, NotAllowedNow, NotFound, Refused
from ledger.fsck import check_ledger
from ledger.ids import charge_adjustment_id, entity_id, reversal_id
from ledger.pricing import Multiplier
from ledger.store.append import NewEvent
from ledger.streams import adjustment
from ledger.streams.adjustment import (
    Adjustment,
    AdjustmentApproved,
    AdjustmentPosted,
    AdjustmentProposed,
    AdjustmentRejected,
    Approve,
    Command,
    Corrected,
    Correction,
    PostCorrected,
    Propose,
    ProposedCredit,
    Reject,
    Reversed,
)
from ledger.streams.charge import rules as charge
from ledger.streams.contract import Event
from ledger.streams.credit import CreditGranted
from ledger.usage import Usage
from tests.builders import append_events
from tests.ledger.building import Call, credit, opened, payer, priced, reserve, settle
from tests.servers import FreshDatabase

ACCOUNTS = [UUID(int=1), UUID(int=2)]
PEOPLE = ["operator:a", "operator:b", "operator:c"]
CORRECTION = Correction(
    question=Question(
        alternative=Alternative(multipliers={"g": Multiplier(1, 2)}), first=1, last=9, as_of=9
    ),
    direction="both",
    charges=2,
    accounts=2,
    before_nanos=10,
    delta_nanos=-4,
    digest="0" * 64,
)


def proposal(actor: str = PEOPLE[0], amount: int = 5, digest: str = "x") -> Propose:
    return Propose("manual", "goodwill", digest, actor, ACCOUNTS[0], amount)


def correction(actor: str = PEOPLE[0]) -> Propose:
    return Propose("correction", "billing_error", "x", actor, correction=CORRECTION)


def given_(*commands: Command) -> Adjustment:
    state = Adjustment()
    for command in commands:
        for event in adjustment.decide(state, command):
            state = adjustment.evolve(state, event)  # type: ignore[arg-type]
    return state


def test_an_approval_posts_the_proposed_amount_in_the_same_step() -> None:
    approved, posted = adjustment.decide(given_(proposal()), Approve(PEOPLE[1]))
    assert approved == AdjustmentApproved(actor=PEOPLE[1])
    assert posted == AdjustmentPosted(
        account_id=ACCOUNTS[0], amount_nanos=5, reason="goodwill", actor=PEOPLE[1]
    )


@pytest.mark.parametrize("kind", [proposal, correction])
def test_nobody_approves_what_he_proposed_and_nobody_without_a_name(
    kind: Callable[[str], Propose],
) -> None:
    with pytest.raises(FourEyes):
        adjustment.decide(given_(kind(PEOPLE[0])), Approve(PEOPLE[0]))
    for nobody in ("command-line", "root", "", "operator"):
        with pytest.raises(FourEyes):
            adjustment.decide(Adjustment(), kind(nobody))
        with pytest.raises(FourEyes):
            adjustment.decide(given_(kind(PEOPLE[0])), Approve(nobody))


def test_what_cannot_be_done_is_refused() -> None:
    for command in (Approve(PEOPLE[1]), Reject("r", PEOPLE[1]), PostCorrected(())):
        with pytest.raises(NotFound):
            adjustment.decide(Adjustment(), command)
    posted = given_(proposal(), Approve(PEOPLE[1]))
    rejected = given_(proposal(), Reject("r", PEOPLE[1]))
    for state, command in (
        (posted, Approve(PEOPLE[2])),
        (posted, Reject("r", PEOPLE[2])),
        (rejected, Approve(PEOPLE[2])),
        (rejected, Reject("r", PEOPLE[2])),
        (posted, PostCorrected((Corrected(ACCOUNTS[1], 1, 1),))),
        (given_(correction()), PostCorrected((Corrected(ACCOUNTS[0], 1, 1),))),
    ):
        with pytest.raises(NotAllowedNow):
            adjustment.decide(state, command)
    for other in (proposal(digest="y"), proposal(PEOPLE[1]), correction()):
        with pytest.raises(IdempotencyConflict):
            adjustment.decide(given_(proposal()), other)


def test_a_correction_is_posted_account_by_account_each_once() -> None:
    one, two = Corrected(ACCOUNTS[0], 1, -1), Corrected(ACCOUNTS[1], 1, -3)
    state = given_(correction(), Approve(PEOPLE[1], 9))
    assert state.state == "approved"
    state = given_(correction(), Approve(PEOPLE[1], 9), PostCorrected((one,)))
    assert state.state == "approved"
    (event,) = adjustment.decide(state, PostCorrected((one, two)))
    assert isinstance(event, AdjustmentPosted)
    assert (event.account_id, event.charges, event.charged_nanos) == (ACCOUNTS[1], 1, -3)
    assert adjustment.effects(event) == ()
    assert adjustment.postings(event) == ()
    assert adjustment.evolve(state, event).state == "posted"


COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        proposal,
        actor=st.sampled_from(PEOPLE),
        amount=st.sampled_from([5, 5, -7]),
        digest=st.sampled_from(["x", "x", "y"]),
    ),
    st.builds(Approve, actor=st.sampled_from([*PEOPLE, "command-line"])),
    st.builds(Reject, request_sha256=st.just("r"), actor=st.sampled_from(PEOPLE)),
)


@dataclass
class Outcome:
    """What a sequence of commands left."""

    state: Adjustment
    events: list[Event]


def carry_out(commands: Sequence[Command]) -> Outcome:
    outcome = Outcome(Adjustment(), [])
    for command in commands:
        before = outcome.state
        try:
            events = adjustment.decide(before, command)
        except Refused:
            assert outcome.state is before
            continue
        for event in events:
            outcome.state = adjustment.evolve(outcome.state, event)  # type: ignore[arg-type]
            outcome.events.append(event)
    return outcome


@settings(max_examples=400)
@given(st.lists(COMMANDS, max_size=12))
def test_any_sequence_of_commands_posts_at_most_once_by_two_people(
    commands: list[Command],
) -> None:
    events = carry_out(commands).events
    counts = Counter(type(event) for event in events)
    assert max(counts.values(), default=0) <= 1
    assert counts[AdjustmentPosted] == counts[AdjustmentApproved]
    assert counts[AdjustmentApproved] + counts[AdjustmentRejected] <= 1
    if counts[AdjustmentPosted]:
        proposed, approved, posted = events
        assert isinstance(proposed, AdjustmentProposed)
        assert isinstance(posted, AdjustmentPosted)
        assert proposed.actor != approved.actor  # type: ignore[attr-defined]
        assert posted.amount_nanos == proposed.amount_nanos


@settings(max_examples=300)
@given(st.lists(COMMANDS, max_size=8), st.data())
def test_repeated_commands_never_change_what_comes_of_it(
    commands: list[Command], data: st.DataObject
) -> None:
    """Each command may arrive again right after itself, as clients repeat what was not answered."""
    repeated = [
        each
        for command in commands
        for each in [command] * data.draw(st.integers(1, 3), label="times")
    ]
    assert carry_out(repeated).events == carry_out(commands).events


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), COMMANDS),
        max_size=16,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_among_streams_never_changes_totals(
    given_commands: list[tuple[int, Command]], random: Random
) -> None:
    """Streams know nothing of each other: any interleaving that keeps each one's order is equal."""
    queues = {n: [c for m, c in given_commands if m == n] for n in range(5)}
    order = [n for n, _ in given_commands]
    random.shuffle(order)
    totals = []
    for sequence in ([n for n, _ in given_commands], order):
        left = {n: list(commands) for n, commands in queues.items()}
        outcomes = {n: Outcome(Adjustment(), []) for n in queues}
        moved: Counter[UUID] = Counter()
        for n in sequence:
            outcome = carry_out_more(outcomes[n], left[n].pop(0))
            for event in outcome:
                for effect in adjustment.effects(event):  # type: ignore[arg-type]
                    moved[effect.scope] += effect.posted_nanos
        totals.append((moved, {n: outcome.events for n, outcome in outcomes.items()}))
    assert totals[0] == totals[1]


def carry_out_more(outcome: Outcome, command: Command) -> list[Event]:
    try:
        events = adjustment.decide(outcome.state, command)
    except Refused:
        return []
    for event in events:
        outcome.state = adjustment.evolve(outcome.state, event)  # type: ignore[arg-type]
        outcome.events.append(event)
    return list(events)


@given(st.lists(st.integers(-(10**12), 10**12).filter(bool), min_size=1, max_size=6))
def test_an_amount_split_into_parts_moves_the_same(parts: list[int]) -> None:
    def moved(amounts: list[int]) -> tuple[int, Counter[str]]:
        posted = [
            AdjustmentPosted(account_id=ACCOUNTS[0], amount_nanos=n, reason="other", actor="a")
            for n in amounts
        ]
        budget = sum(e.posted_nanos for event in posted for e in adjustment.effects(event))
        trial: Counter[str] = Counter()
        for event in posted:
            legs = adjustment.postings(event)
            assert sum(leg.amount_nanos for leg in legs) == 0
            for leg in legs:
                trial[leg.account] += leg.amount_nanos
        return budget, trial

    total = sum(parts)
    whole = moved([total]) if total else (0, Counter())
    split = moved(parts)
    assert split[0] == whole[0] == split[1]["customer:available"]
    assert split[1] == whole[1]


def test_ids_of_reversals_and_of_corrected_charges_are_their_own() -> None:
    one, two = entity_id(), entity_id()
    ids = {reversal_id(stream, attempt) for stream in (one, two) for attempt in (1, 2)}
    ids |= {charge_adjustment_id(one, two), charge_adjustment_id(two, one)}
    assert len(ids) == 6
    assert reversal_id(one, 1) == reversal_id(one, 1)


# ------------------------------------------------------------------ what fsck finds


class Books:
    """A log of the test's own making."""

    def __init__(self, dsn: str, connection: psycopg.Connection[Any]) -> None:
        self.dsn = dsn
        self.connection = connection

    def store(self, stream_id: UUID, *events: Event, after: int = 0) -> int:
        new = [NewEvent(stream_id, after + n, event) for n, event in enumerate(events, 1)]
        return append_events(self.connection, *new)

    def found(self) -> list[tuple[int | None, str]]:
        found = list(check_ledger(self.dsn))
        assert {each.check for each in found} <= {"adjustment"}, found
        return [(each.position, each.message) for each in found]


@pytest.fixture
def books(ledger_database: FreshDatabase) -> Iterator[Books]:
    dsn = ledger_database.app_dsn
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield Books(dsn, connection)


def proposed(actor: str = "operator:a", **changes: object) -> AdjustmentProposed:
    fields = {"kind": "manual", "account_id": ACCOUNTS[0], "amount_nanos": 5}
    fields |= {"reason": "goodwill", "request_sha256": "x", "actor": actor}
    return AdjustmentProposed(**{**fields, **changes})  # type: ignore[arg-type]


def posted(amount: int = 5, account: UUID = ACCOUNTS[0], **changes: Any) -> AdjustmentPosted:  # noqa: ANN401
    return AdjustmentPosted(
        account_id=account, amount_nanos=amount, reason="goodwill", actor="operator:b", **changes
    )


APPROVED = AdjustmentApproved(actor="operator:b")
REJECTED = AdjustmentRejected(request_sha256="r", actor="operator:b")


CREDIT_ID, LARGE_ID = UUID(int=11), UUID(int=12)
LARGE = proposed(
    kind="credit",
    credit=ProposedCredit(stream_id=CREDIT_ID, source="top_up", method="bank", reference="R-1"),
)


def granted(**changes: object) -> CreditGranted:
    fields: dict[str, object] = {"account_id": ACCOUNTS[0], "amount_nanos": 5, "source": "top_up"}
    fields |= {"method": "bank", "reference": "R-1", "request_sha256": "x", "actor": "operator:b"}
    return CreditGranted(**{**fields, "proposal": LARGE_ID, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("events", "grant", "message"),
    [
        ((LARGE, APPROVED), granted(), ""),
        ((LARGE,), granted(), "which was not approved"),
        ((LARGE, REJECTED), granted(), "which was not approved"),
        ((), granted(), "which proposed no credit"),
        ((proposed(), APPROVED, posted()), granted(), "which proposed no credit"),
        ((LARGE, APPROVED), granted(amount_nanos=6), "granted otherwise"),
        ((LARGE, APPROVED), granted(account_id=ACCOUNTS[1]), "granted otherwise"),
        ((LARGE, APPROVED), granted(method="stripe"), "granted otherwise"),
        ((LARGE, APPROVED), granted(source="goodwill"), "granted otherwise"),
        ((LARGE, APPROVED), granted(reference="R-2"), "granted otherwise"),
        ((LARGE, APPROVED), granted(proposal=None), ""),
    ],
)
def test_a16_a_large_credit_is_granted_as_two_have_agreed(
    books: Books, events: tuple[Event, ...], grant: CreditGranted, message: str
) -> None:
    if events:
        books.store(LARGE_ID, *events)
    position = books.store(CREDIT_ID, grant)
    found = books.found()
    assert [each[0] for each in found] == ([position] if message else [])
    assert message in "".join(each[1] for each in found)


def test_a16_a_large_credit_is_granted_in_its_own_stream_and_never_posted(books: Books) -> None:
    position = books.store(LARGE_ID, LARGE, APPROVED, posted())
    assert books.found() == [(position, "posted, where a credit was to be granted")]
    books.store(entity_id(), granted())
    ((_, message),) = books.found()[1:]
    assert "granted otherwise" in message


@pytest.mark.parametrize(
    ("events", "bad", "message"),
    [
        ((proposed(), APPROVED, posted()), None, ""),
        ((proposed(), REJECTED), None, ""),
        ((proposed("operator:b"), APPROVED, posted()), 2, "who proposed it"),
        ((proposed(), posted()), 2, "not approved"),
        ((posted(),), 1, "never proposed"),
        ((proposed(), APPROVED, posted(), posted()), 4, "a second time"),
        ((proposed(), APPROVED, posted(6)), 3, "5 were proposed"),
        ((proposed(), APPROVED, posted(account=ACCOUNTS[1])), 3, "were proposed"),
        ((proposed(), REJECTED, APPROVED, posted()), 3, "decided a second time"),
        ((proposed(), proposed()), 2, "proposed a second time"),
    ],
)
def test_an_unlawful_life_is_named(
    books: Books, events: tuple[Event, ...], bad: int | None, message: str
) -> None:
    books.store(entity_id(), *events)
    found = books.found()
    if bad is None:
        assert found == []
    else:
        assert found[0][0] == bad
        assert message in found[0][1]


def test_a_reversal_must_take_back_exactly_what_it_names_and_once(books: Books) -> None:
    granted = credit(ACCOUNTS[0], 5)
    position = append_events(books.connection, granted)

    def reversal(amount: int, stream_id: UUID, at: int) -> tuple[Event, ...]:
        target = Reversed(stream_id=stream_id, position=at)
        first = proposed(kind="reversal", amount_nanos=amount, reverses=target)
        return first, APPROVED, posted(amount)

    books.store(entity_id(), *reversal(-5, granted.stream_id, position))
    assert books.found() == []
    twice = books.store(entity_id(), *reversal(-5, granted.stream_id, position))
    assert [(at, "a second time" in what) for at, what in books.found()] == [(twice, True)]
    other = credit(ACCOUNTS[0], 7)
    other_at = append_events(books.connection, other)
    short = books.store(entity_id(), *reversal(-5, other.stream_id, other_at))
    nothing = books.store(entity_id(), *reversal(-5, entity_id(), other_at))
    found = dict(books.found())
    assert set(found) == {twice, short, nothing}
    assert "do not take back 7" in found[short]
    assert "nothing that can be reversed" in found[nothing]


def test_a_correction_must_say_what_it_did_to_the_charges(books: Books) -> None:
    who = payer()
    append_events(books.connection, priced())
    append_events(books.connection, *opened(who))
    append_events(books.connection, credit(who.account_id, 1_000))
    call, adjustment_id = Call(), entity_id()
    for command in (reserve(who.cover(), 100), settle(Usage(input=60))):
        append_events(books.connection, *call.next(command))
    terms = msgspec.structs.replace(CORRECTION, accounts=1, charges=1)
    first = proposed(kind="correction", account_id=None, amount_nanos=0, correction=terms)
    books.store(adjustment_id, first, APPROVED)
    adjust = charge.Adjust(
        charge_adjustment_id(adjustment_id, call.stream_id), -20, "reprice", "operator:b"
    )
    append_events(books.connection, *call.next(adjust))
    wrong = posted(0, who.account_id, charges=1, charged_nanos=-19)
    position = books.store(adjustment_id, wrong, after=2)
    assert books.found() == [(position, "1 charges by -19 nanos, the log has 1 by -20")]


def test_a_correction_counts_what_was_repriced_and_nothing_else(books: Books) -> None:
    """A refund that bears the id of the correction's own line is none of it."""
    who = payer()
    append_events(books.connection, priced())
    append_events(books.connection, *opened(who))
    append_events(books.connection, credit(who.account_id, 1_000))
    call, adjustment_id = Call(), entity_id()
    for command in (reserve(who.cover(), 100), settle(Usage(input=60))):
        append_events(books.connection, *call.next(command))
    terms = msgspec.structs.replace(CORRECTION, accounts=1, charges=1)
    first = proposed(kind="correction", account_id=None, amount_nanos=0, correction=terms)
    books.store(adjustment_id, first, APPROVED)
    adjust = charge.Adjust(
        charge_adjustment_id(adjustment_id, call.stream_id), -20, "refund", "operator:b"
    )
    append_events(books.connection, *call.next(adjust))
    claimed = posted(0, who.account_id, charges=1, charged_nanos=-20)
    position = books.store(adjustment_id, claimed, after=2)
    assert books.found() == [(position, "1 charges by -20 nanos, the log has 0 by 0")]
