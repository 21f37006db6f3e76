"""Builds logs for tests through the real append function: random but lawful, every event type.

with psycopg.connect(dsn, autocommit=True) as connection:
    log = LawfulLog(connection, seed=7)
    log.grow(10_000)
"""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from msgspec.structs import replace

from ledger import clock
from ledger.book_days import BookDays, calendar
from ledger.codec import decode
from ledger.errors import LedgerError, OverBudget
from ledger.ids import charge_id, entity_id, key_digest
from ledger.pricing import LongContext, Multiplier, Price, Schedule, cost_nanos
from ledger.store.append import (
    APPEND,
    NewEvent,
    Outcome,
    adapt,
    interpret,
    parameters,
    prepare,
)
from ledger.streams import (
    account,
    adjustment,
    api_key,
    channel,
    credit,
    group,
    price,
    setting,
    user,
)
from ledger.streams.charge import rules as charge
from ledger.streams.charge.events import Attempt, Cost, Cover, QuotaReserved, Terms
from ledger.streams.contract import Stream
from ledger.streams.routes import Route
from ledger.usage import Usage
from ledger.windows import windows
from tests.lawful_seals import LawfulSeals

T = TypeVar("T")

GROUPS = {"default": Multiplier(1, 1), "partner": Multiplier(2, 3), "surge": Multiplier(7, 5)}
PRICES = {
    "small": Price(
        rates={"input": 150_000_000, "output": 600_000_000},
        long_context=(LongContext(above_tokens=2_000, rates={"input": 310_000_000}),),
        services={"flex": Schedule(rates={"input": 75_000_000, "output": 300_000_001})},
    ),
    "vendor/large": Price(
        rates={"input": 3_000_000_000, "cache_read": 300_000_000, "output": 15_000_000_007}
    ),
    "painter": Price(rates={"calls": 40_000_000}),
}
COSTS = {
    f"upstream-{model}": Price(rates={kind: rate // 2 for kind, rate in each.rates.items()})
    for model, each in PRICES.items()
}

PROPOSER, APPROVER = "operator:1", "operator:2"


def append_groups(
    connection: psycopg.Connection[Any], groups: Sequence[Sequence[NewEvent]]
) -> list[Outcome]:
    """Store groups in one call of the append function; outcomes in the order given.

    Groups without caps must come first, as the writer sends them.
    """
    prepared = [prepare(events) for events in groups]
    with connection.cursor(binary=True) as cursor:
        adapt(cursor)
        row = cursor.execute(APPEND, parameters(prepared), prepare=True).fetchone()
    assert row is not None
    return interpret(prepared, row).outcomes


def append_events(connection: psycopg.Connection[Any], *events: NewEvent) -> int:
    """Store events as one group; the last position. Raises what refused it."""
    outcome = append_groups(connection, [events])[0]
    if outcome.refusal is not None:
        raise outcome.refusal
    return outcome.positions[-1]


class LawfulLog:
    """Grows a log by random commands, each decided by its stream and stored by the database."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        seed: int = 1,
        accounts: int = 8,
        *,
        is_sealed: bool = True,
    ) -> None:
        self._connection = connection
        self._seals = LawfulSeals(connection) if is_sealed else None
        self._random = random.Random(seed)
        self._spending = random.Random(seed)
        self._streams: dict[UUID, tuple[Stream, Any]] = {}
        self._open: dict[UUID, int] = {}  # and where it stands in the next
        self._open_list: list[UUID] = []
        self._closed: list[UUID] = []
        self._uncovered: set[UUID] = set()
        self._proposals: list[UUID] = []
        self._boot = entity_id()
        self._began_us = clock.now_us()
        self.accounts = [entity_id() for _ in range(accounts)]
        self.channels = [entity_id() for _ in range(3)]
        self.keys: dict[UUID, list[UUID]] = {each: [] for each in self.accounts}
        self._payers = self.accounts
        self.refusals = 0
        self.stored = 0

    def grow(self, events: int, batch_groups: int = 200) -> int:
        """Store at least so many further events; returns how many were stored."""
        before = self.stored
        if not self._streams:
            self._begin()
        while self.stored - before < events:
            self._payers = self._random.choice([self.accounts[1:]] * 9 + [self.accounts])
            commands = dict(self._command() for _ in range(batch_groups))
            self.carry_out(commands)
        if self._seals is not None and (sealed := self._seals.next()):
            append_groups(self._connection, [[each] for each in sealed])
            self.stored += len(sealed)
        return self.stored - before

    def close_all(self) -> None:
        """Close every open charge."""
        self.carry_out({each: charge.Refund("node_lost", "n1", self._boot) for each in self._open})

    def carry_out(self, commands: dict[UUID, Any]) -> None:
        """Decide and store one command per stream; what is refused changes nothing."""
        groups: list[list[NewEvent]] = []
        for stream_id, command in commands.items():
            if stream_id not in self._streams:
                self._streams[stream_id] = self._found(stream_id, *_begun(command))
            stream, state = self._streams[stream_id]
            try:
                decided = stream.decide(state, command)
            except LedgerError:
                continue
            if decided:
                groups.append(
                    [
                        NewEvent(stream_id, state.version + number, event)
                        for number, event in enumerate(decided, 1)
                    ]
                )
        groups.sort(key=_has_cap)
        if groups:
            outcomes = append_groups(self._connection, groups)
            for events, outcome in zip(groups, outcomes, strict=True):
                self._note(events, outcome)

    def _found(self, stream_id: UUID, stream: Stream, state: object) -> tuple[Stream, Any]:
        """Where a stream stands that others may have begun: those with a name of their own."""
        if stream.name in ("group", "price", "setting"):
            rows = self._connection.execute(
                "select topic, state from ledger.event where originator_id = %s "
                "order by originator_version",
                (stream_id,),
            ).fetchall()
            for topic, stored in rows:
                state = stream.evolve(state, decode(topic, bytes(stored)))
        return stream, state

    def _note(self, events: Sequence[NewEvent], outcome: Outcome) -> None:
        stream_id = events[0].stream_id
        stream, state = self._streams[stream_id]
        if outcome.refusal is not None:
            assert isinstance(outcome.refusal, OverBudget)
            self.refusals += 1
            if stream_id in self._open:
                self._uncovered.add(stream_id)
            else:
                del self._streams[stream_id]
            return
        self.stored += len(events)
        for new in events:
            state = stream.evolve(state, new.event)
        self._streams[stream_id] = stream, state
        if isinstance(state, charge.Charge):
            self._note_charge(stream_id, state)
        elif isinstance(state, api_key.ApiKey) and state.version == 1:
            assert state.issued is not None
            self.keys[state.issued.account_id].append(stream_id)

    def _note_charge(self, stream_id: UUID, state: charge.Charge) -> None:
        if not state.is_closed:
            if stream_id not in self._open:
                self._open[stream_id] = len(self._open_list)
                self._open_list.append(stream_id)
        elif stream_id in self._open:
            self._closed.append(stream_id)
            place = self._open.pop(stream_id)
            last = self._open_list.pop()
            if last != stream_id:
                self._open_list[place], self._open[last] = last, place

    def _begin(self) -> None:
        for commands in self._opening():
            self.carry_out(commands)

    def _opening(self) -> Iterator[dict[UUID, Any]]:
        yield {
            group.group_stream_id(name): group.SetGroup(name, multiplier, "root")
            for name, multiplier in GROUPS.items()
        }
        yield {
            price.price_stream_id(model): price.SetPrice(model, each, 0, "root")
            for model, each in PRICES.items()
        }
        yield {
            price.price_stream_id(model, price.COST): price.SetPrice(
                model, each, 0, "root", book=price.COST
            )
            for model, each in COSTS.items()
        }
        yield {each: channel.Add(each, self._route(), "root") for each in self.channels}
        yield {each: account.Open(each, "default", "root") for each in self.accounts}
        # The first one is poor, and rarely asks: one refusal slows the whole batch down.
        yield dict(self._credit(each) for each in self.accounts)
        yield dict(self._credit(each, 10**15) for each in self.accounts[1:])
        yield dict(self._issue(each) for each in self.accounts for _ in range(2))
        users = [entity_id(), entity_id()]
        yield {each: user.Register(each, "operator", "root") for each in users}
        for command in _USER_LIFE:
            yield {users[0]: command}
        paused = self.channels[0]
        state = self._streams[paused][1]
        for change in _channel_life(state.route):
            yield {paused: change}
        doomed = entity_id()
        yield {doomed: channel.Add(doomed, self._route(), "root")}
        yield {doomed: channel.Remove("root", "gone")}
        proposals = dict(self._propose() for _ in range(3))
        yield proposals
        posted, rejected, _ = proposals
        yield {posted: adjustment.Approve(APPROVER), rejected: _REJECTION}

    def _command(self) -> tuple[UUID, Any]:
        chance = self._random.random()
        if chance < 0.46:
            return self._reserve()
        if chance < 0.94 and self._open_list:
            return self._go_on(self._pick(self._open_list))
        if chance < 0.97 and self._closed:
            return self._adjust(self._pick(self._closed))
        if chance < 0.98:
            return self._credit(self._pick(self.accounts))
        return self._configure()

    def _reserve(self) -> tuple[UUID, charge.Reserve]:
        payer = self._pick(self._payers)
        payer_state = self._streams[payer][1]
        key = self._pick(self.keys[payer])
        key_state = self._streams[key][1]
        model = self._pick(list(PRICES))
        admitted_at_us = self._began_us + self.stored
        return charge_id(), charge.Reserve(
            hold_nanos=self._random.choice([0, 1, 7_000_000, 60_000_000, 900_000_000]),
            cover=Cover(
                account_id=payer,
                key_id=key,
                overdraft_nanos=payer_state.limits.overdraft_nanos,
                key_limit_nanos=key_state.terms.limit_nanos,
                windows=windows(
                    payer, payer_state.limits, admitted_at_us, self._days(admitted_at_us)
                ),
            ),
            terms=Terms(
                model=model,
                group=payer_state.group,
                price_version=self._price_version(model, admitted_at_us),
                multiplier=GROUPS[payer_state.group],
            ),
            admitted_at_us=admitted_at_us,
            node="n1",
            boot=self._boot,
            dialect="openai_chat",
            streaming=self._random.random() < 0.5,
            input_tokens_estimated=self._random.randrange(5_000),
            output_tokens_max=4_096,
        )

    def _days(self, moment_us: int) -> BookDays:
        """As earlier releases had them: the last zone's, for all of time."""
        known = self._streams.get(setting.setting_stream_id("book.time_zone"))
        moment = datetime.fromtimestamp(moment_us / 1_000_000, UTC)
        return calendar([(moment, known[1].value)] if known else [])

    def _price_version(self, model: str, moment_us: int) -> int:
        _, history = self._streams[price.price_stream_id(model)]
        in_force = history.at(moment_us)
        assert in_force is not None
        return int(in_force[0])

    def _go_on(self, stream_id: UUID) -> tuple[UUID, Any]:
        chance = self._random.random()
        if chance < 0.05:
            return stream_id, charge.Extend(self._random.randrange(1, 50_000_000))
        if chance < 0.15:
            attempts = (self._spent(stream_id, "failed"), self._attempt("timeout"))
            return stream_id, charge.Refund(
                "upstream_failed", "n1", self._boot, attempts[: self._random.randrange(3)], 20
            )
        return stream_id, self._settle(stream_id)

    def _settle(self, stream_id: UUID) -> charge.Settle:
        terms = self._streams[stream_id][1].opening.terms
        answered = self._attempt("answered")
        failed = (self._spent(stream_id, "failed"),) if self._random.random() < 0.1 else ()
        usage = Usage(
            input=self._random.randrange(3_000),
            cache_read=self._random.choice([0, 0, 1_024]),
            output=self._random.randrange(900),
            reasoning=self._random.choice([0, 0, 64]),
            calls=1,
        )
        return charge.Settle(
            usage=usage,
            cost=self._cost(f"upstream-{terms.model}", usage),
            price=PRICES[terms.model],
            basis=self._random.choice(["measured", "estimated"]),
            ending=self._random.choice(["complete", "client_gone", "cut"]),
            channel_id=answered.channel_id,
            upstream_model=f"upstream-{terms.model}",
            node="n1",
            boot=self._boot,
            attempts=(*failed, answered),
            anomaly=self._random.choice(["", "", "", "usage_above_estimate"]),
            ttft_ms=self._random.choice([None, 120]),
            duration_ms=self._random.randrange(9_000),
            covered_nanos=0 if stream_id in self._uncovered else None,
        )

    def _cost(self, upstream_model: str, usage: Usage) -> Cost | None:
        if self._random.random() < 0.1:
            return None
        return Cost(
            book=price.COST,
            price_version=1,
            amount_nanos=cost_nanos(usage, COSTS[upstream_model]),
        )

    def _adjust(self, stream_id: UUID) -> tuple[UUID, charge.Adjust]:
        late = self._random.random() < 0.3
        return stream_id, charge.Adjust(
            adjustment_id=entity_id(),
            delta_nanos=self._random.randrange(-5_000_000, 5_000_000),
            reason="late_usage" if late else self._random.choice(["refund", "reprice", "dispute"]),
            actor="root",
            usage=Usage(output=3) if late else None,
        )

    def _credit(self, payer: UUID, amount_nanos: int = 0) -> tuple[UUID, credit.Grant]:
        stream_id = entity_id()
        return stream_id, credit.Grant(
            account_id=payer,
            amount_nanos=amount_nanos or self._random.randrange(1, 400_000_000),
            source=self._random.choice(["manual", "top_up", "sign_up"]),
            request_sha256=stream_id.hex,
            actor="root",
        )

    def _propose(self) -> tuple[UUID, adjustment.Propose]:
        stream_id = entity_id()
        self._proposals.append(stream_id)
        return stream_id, adjustment.Propose(
            kind="manual",
            reason=self._random.choice(["goodwill", "billing_error"]),
            request_sha256=stream_id.hex,
            actor=PROPOSER,
            account_id=self._pick(self.accounts),
            amount_nanos=self._random.choice([-1, 1]) * self._random.randrange(1, 50_000_000),
        )

    def _decide(self) -> tuple[UUID, Any]:
        decision = self._random.choice([adjustment.Approve(APPROVER), _REJECTION])
        return self._pick(self._proposals), decision

    def _issue(self, payer: UUID) -> tuple[UUID, api_key.Issue]:
        digest = key_digest(entity_id().hex)
        terms = api_key.KeyTerms(
            limit_nanos=self._random.choice([None, 10**15]),
            models=self._random.choice([None, ("small", "painter")]),
        )
        return api_key.key_id(digest), api_key.Issue(payer, digest, "tg-", "ab12", terms, "root")

    def _configure(self) -> tuple[UUID, Any]:
        payer = self._pick(self.accounts)
        key = self._pick(self.keys[payer])
        model = self._pick(list(PRICES))
        limits = account.SpendingLimits(
            overdraft_nanos=self._random.choice([0, 500_000_000]),
            day_nanos=self._random.choice([None, 10**16]),
        )
        choices: list[tuple[UUID, Any]] = [
            (payer, account.SetLimits(limits, self._pick(list(GROUPS)), "root", "asked for")),
            (payer, account.Suspend("root", "late")),
            (payer, account.Resume("root")),
            (key, api_key.Change(api_key.KeyTerms(limit_nanos=None), "root", "raised")),
            (key, api_key.Revoke("root", "leaked")),
            self._issue(payer),
            # From a moment on that no hold in the same batch has reached.
            (
                price.price_stream_id(model),
                price.SetPrice(model, PRICES[model], self._began_us + self.stored + 1, "root"),
            ),
            (setting.setting_stream_id("book.time_zone"), self._time_zone()),
            self._propose(),
            self._decide(),
        ]
        return self._pick(choices)

    def _time_zone(self) -> setting.ChangeSetting:
        zone = self._pick(["UTC", "Asia/Kolkata", "Europe/Riga"])
        return setting.ChangeSetting("book.time_zone", zone, "root")

    def _route(self) -> Route:
        return Route(
            type="openai",
            base_url="https://upstream.invalid/v1",
            models={model: f"upstream-{model}" for model in PRICES},
            key_ids=(entity_id(), entity_id()),
        )

    def _attempt(self, outcome: str) -> Attempt:
        status = 200 if outcome == "answered" else 503
        return Attempt(channel_id=self._pick(self.channels), outcome=outcome, status=status)

    def _spent(self, stream_id: UUID, outcome: str) -> Attempt:
        """A try that failed; of every other one we know what it used."""
        attempt, model = self._attempt(outcome), self._streams[stream_id][1].opening.terms.model
        if self._spending.random() < 0.5:
            return attempt
        usage = Usage(input=self._spending.randrange(1, 3_000), calls=1)
        amount_nanos = cost_nanos(usage, COSTS[f"upstream-{model}"])
        cost = Cost(book=price.COST, price_version=1, amount_nanos=amount_nanos)
        return replace(attempt, usage=usage, upstream_model=f"upstream-{model}", cost=cost)

    def _pick(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)


_REJECTION = adjustment.Reject("", APPROVER)
_USER_LIFE = (
    user.ChangeRole("auditor", "root", "moved on"),
    user.Link("token", "digest-b", "root"),
    user.Link("token", "digest-a", "root"),
    user.Unlink("token", "digest-b", "root"),
    user.Disable("root", "away"),
    user.Enable("root"),
    user.Erase("root", "asked for"),
)


def _channel_life(route: Route) -> list[Any]:
    changed = Route(
        type=route.type, base_url=route.base_url, models=route.models, key_ids=route.key_ids[:1]
    )
    return [
        channel.Pause("root", "maintenance"),
        channel.Resume("root"),
        channel.MarkKey(route.key_ids[0], "refused", "health", "401"),
        channel.MarkKey(route.key_ids[1], "out_of_money", "health", "402"),
        channel.MarkKey(route.key_ids[0], "usable", "health"),
        channel.PauseKey(route.key_ids[0], "root", "rotated soon"),
        channel.ResumeKey(route.key_ids[0], "root"),
        channel.Change(changed, "root"),
    ]


_STREAM_OF_COMMAND: dict[type, Stream] = {
    charge.Reserve: charge.STREAM,
    credit.Grant: credit.STREAM,
    account.Open: account.STREAM,
    api_key.Issue: api_key.STREAM,
    user.Register: user.STREAM,
    channel.Add: channel.STREAM,
    price.SetPrice: price.STREAM,
    group.SetGroup: group.STREAM,
    setting.ChangeSetting: setting.STREAM,
    adjustment.Propose: adjustment.STREAM,
    # One batch may hold a proposal's decision in the proposal's place: it is refused.
    adjustment.Approve: adjustment.STREAM,
    adjustment.Reject: adjustment.STREAM,
}


def _has_cap(events: Sequence[NewEvent]) -> bool:
    return any(isinstance(new.event, QuotaReserved) for new in events)


def _begun(command: object) -> tuple[Stream, Any]:
    """The stream that a first command is for; for later ones nobody looks."""
    stream = _STREAM_OF_COMMAND.get(type(command), charge.STREAM)
    return stream, stream.initial()
