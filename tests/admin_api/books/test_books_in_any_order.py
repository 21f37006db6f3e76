"""Calls, refunds, disputes, gifts, payments, reversals and corrections add up in any order.

What ought to be there is kept beside, by what was asked for and never by what was stored: money in
and out of each payment method, what was given away, what calls brought in and cost by account,
channel and model. Trial balance, profit and Beancount must all say the same, to the nanodollar.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from ledger import clock
from ledger.fsck import check_ledger
from ledger.ids import charge_id, entity_id
from ledger.money import format_usd
from ledger.pricing import Multiplier, Price
from ledger.streams import account as account_stream
from ledger.streams import group, price
from ledger.streams.charge import rules as charge
from ledger.streams.charge.events import Cost, Cover, LateUsage, Terms
from ledger.usage import Usage
from projections.catching_up import caught_up
from projections.registry import PROJECTIONS
from tests.admin_api.corrections.test_corrections import asked, post, propose
from tests.admin_api.desks import OpenDesk, Servers, open_desk
from tests.bookkeeping import LoopThread
from tests.ledger.export.exporting import export
from tests.ledger.export.test_sums import beancount_sums, nanos_of_usd

MODELS = {"m": 1_000, "n": 2_500}
"""Nanodollars of a token, to customers."""
COSTS = {"m": 300, "n": 900}
"""Nanodollars of a token, to the provider."""
RATIO = Multiplier(3, 2)
OVERDRAFT_NANOS = 1_000_000_000_000_000
GIFTS = ("promotion", "goodwill")
TIMES = st.sampled_from([Fraction(1, 2), Fraction(3, 4), Fraction(2)])
AMOUNTS = st.integers(1, 90_000_000_000)
PICKS = st.integers(0, 1_000)


class Place(NamedTuple):
    """Where a call is counted."""

    account: str
    channel: UUID
    model: str


@dataclass
class Call:
    """A closed call, and what was charged for it. `place` None: nobody has answered it."""

    place: Place | None
    charged: int
    is_given_back: bool = False


class Moved(NamedTuple):
    """A posted fact that may be reversed once: which side of the books it moved."""

    position: int
    against: str
    amount: int


class Kept:
    """One database with its desk, and everything that was ever asked of it."""

    def __init__(self, servers: Servers, loop: LoopThread, folder: Path) -> None:
        self.servers, self.loop, self.folder = servers, loop, folder
        self._opened = open_desk(servers)
        self.desk: OpenDesk = loop.run(self._opened.__aenter__())
        self.books: Counter[str] = Counter()
        self.revenue: Counter[Place | None] = Counter()
        self.cost: Counter[Place] = Counter()
        self.accounts: list[tuple[str, str]] = []
        self.channels = [entity_id(), entity_id()]
        self.second = ""
        self.calls: dict[UUID, Call] = {}
        self.moved: list[Moved] = []
        loop.run(self._furnish())

    async def _furnish(self) -> None:
        self.second = await self.desk.approver()
        for name, sale in MODELS.items():
            for book, nanos in ((price.SALE, sale), (price.COST, COSTS[name])):
                rates = {"input": nanos * 1_000_000}
                command = price.SetPrice(name, Price(rates=rates), 0, "test", book=book)
                stream_id = price.price_stream_id(name, book)
                await self.desk.desk.handle(price.STREAM, stream_id, command)
        handle, set_group = self.desk.desk.handle, group.SetGroup("default", RATIO, "test")
        await handle(group.STREAM, group.group_stream_id("default"), set_group)
        for _ in range(2):
            account = await self.desk.account()
            limits = account_stream.SpendingLimits(overdraft_nanos=OVERDRAFT_NANOS)
            set_limits = account_stream.SetLimits(limits, "default", "test")
            await handle(account_stream.STREAM, UUID(account), set_limits)
            key, _ = await self.desk.key(account)
            self.accounts.append((account, key))

    def close(self) -> None:
        self.loop.run(self._opened.__aexit__(None, None, None))

    # ------------------------------------------------------------------ what is asked

    def move(self, against: str, amount: int) -> None:
        """The customers have so much more, and something else so much less."""
        self.books["customer:available"] += amount
        self.books[against] -= amount

    async def credit(self, account: str, amount: int, source: str, method: str) -> None:
        body = {"amount": format_usd(amount), "reason": "so", "source": source}
        body |= {"method": method} if source == "payment" else {}
        answer = await self.desk.post(f"/accounts/{account}/credits", json=body)
        assert answer.status_code == 201, answer.text
        origin = {"payment": method}.get(source, source)
        against = "promotions" if source in GIFTS else f"clearing:{origin}"
        self.moved.append(Moved(answer.json()["position"], against, amount))
        self.move(against, amount)

    async def adjust(self, asked_for: dict[str, Any], against: str, amount: int) -> None:
        path = "/reversals" if "position" in asked_for else "/adjustments"
        proposed = await self.desk.post(path, json={**asked_for, "reason": "so"})
        assert proposed.status_code == 201, proposed.text
        path = f"/adjustments/{proposed.json()['id']}"
        if asked_for["code"] == "other":  # is not agreed to
            answer = await self.desk.post(
                f"{path}/reject", json={"reason": "no"}, token=self.second
            )
            assert answer.json()["state"] == "rejected", answer.text
            return
        answer = await self.desk.post(f"{path}/approve", token=self.second)
        assert answer.json()["state"] == "posted", answer.text
        self.move(against, amount)
        position = answer.json()["posted_position"]
        if "position" in asked_for:
            self.moved = [one for one in self.moved if one.position != asked_for["position"]]
        else:
            self.moved.append(Moved(position, against, amount))

    async def call(self, account: int, channel: int, model: str, tokens: int, ending: str) -> None:
        """Reserved and settled; refunded; or refunded, and its usage comes late."""
        handle, stream_id = self.desk.desk.ledger.handle, charge_id()
        payer, key = self.accounts[account]
        node: dict[str, Any] = {"node": "n", "boot": entity_id()}
        opening = charge.Reserve(
            hold_nanos=10_000_000_000,
            cover=Cover(account_id=UUID(payer), key_id=UUID(key), overdraft_nanos=OVERDRAFT_NANOS),
            terms=Terms(model=model, group="default", price_version=1, multiplier=RATIO),
            admitted_at_us=clock.now_us(),
            dialect="openai_chat",
            **node,
        )
        await handle(charge.STREAM, stream_id, opening)
        place = Place(payer, self.channels[channel], model)
        cost = Cost(book=price.COST, price_version=1, amount_nanos=tokens * COSTS[model])
        sale = Price(rates={"input": MODELS[model] * 1_000_000})
        answered: dict[str, Any] = {"channel_id": place.channel, "upstream_model": model}
        if ending == "settled":
            closing: Any = charge.Settle(
                usage=Usage(input=tokens),
                price=sale,
                basis="measured",
                ending="stop",
                cost=cost,
                **answered,
                **node,
            )
        else:
            closing = charge.Refund(reason="node_lost", **node)
        await handle(charge.STREAM, stream_id, closing)
        charged = 0
        if ending != "refunded":
            charged = tokens * MODELS[model] * 3 // 2
            self._earned(place, charged)
            self.cost[place] += cost.amount_nanos
            self.books["provider_cost"] -= cost.amount_nanos
            self.books["clearing:providers"] += cost.amount_nanos
        if ending == "late":
            late = charge.Adjust(
                adjustment_id=entity_id(),
                delta_nanos=charged,
                reason="late_usage",
                actor="node",
                usage=Usage(input=tokens),
                lines=charge.lines_of(
                    charge.Settle(Usage(input=tokens), sale, "measured", "", **answered, **node),
                    opening.terms,
                ),
                late=LateUsage(cost=cost, **answered),
                overdraft_nanos=OVERDRAFT_NANOS,
            )
            await handle(charge.STREAM, stream_id, late)
        self.calls[stream_id] = Call(None if ending == "refunded" else place, charged)

    def _earned(self, place: Place | None, nanos: int) -> None:
        self.revenue[place] += nanos
        self.books["revenue"] += nanos
        self.books["customer:available"] -= nanos

    async def give_back(self, picked: int, nanos: int, reason: Any) -> None:  # noqa: ANN401
        """A refund or a dispute of one call: never more than was charged for it."""
        stream_id, call = list(self.calls.items())[picked % len(self.calls)]
        adjust = charge.Adjust(entity_id(), -nanos, reason, "operator:a")
        for _ in range(2):  # the second time it is known
            await self.desk.desk.ledger.handle(charge.STREAM, stream_id, adjust)
        given = min(nanos, call.charged)
        call.charged -= given
        call.is_given_back |= given > 0
        self._earned(call.place, -given)

    async def correct(self, model: str, times: Fraction) -> None:
        """Another price for all calls of a model: what was given back in part never rises."""
        sale = MODELS[model] * times
        prices = {model: {"input": format_usd(int(sale * 1_000_000))}}
        job = await asked(self.desk, self.servers, prices=prices, models=[model])
        proposed = await propose(self.desk, job)
        if proposed.status_code == 409:  # it would change nothing
            assert job["result"]["answer"]["total"]["difference"] == "0"
            return
        told = await post(self.desk, self.servers, proposed.json()["id"], self.second)
        assert told["state"] == "done", told
        moved = nanos_of_usd(told["result"]["difference"])
        assert moved == await self._take_over(model)

    async def _take_over(self, model: str) -> int:
        """What each call costs now, told call by call; the sum of what changed."""
        total = 0
        for stream_id, call in self.calls.items():
            if call.place is None or call.place.model != model:
                continue
            state: charge.Charge = await self.desk.desk.state(charge.STREAM, stream_id)
            delta = state.charged_nanos - call.charged
            assert delta <= 0 or not call.is_given_back, "what was given back never rises"
            assert state.charged_nanos >= 0
            call.charged = state.charged_nanos
            self._earned(call.place, delta)
            total += delta
        return total

    # ------------------------------------------------------------------ what must hold

    def check(self) -> None:
        with caught_up(self.servers.dsn, PROJECTIONS):
            pass
        self.loop.run(self._check_reports())
        assert list(check_ledger(self.servers.dsn)) == []
        for path in self.folder.glob("*"):
            path.unlink()
        exported = export(self.servers.dsn, self.folder, "beancount", what="postings")
        assert _told(beancount_sums(exported.path)) == _told(self.books)

    async def _check_reports(self) -> None:
        rows = (await self.desk.get("/ledger/trial-balance")).json()["accounts"]
        balance = {row["account"]: nanos_of_usd(row["net"]) for row in rows}
        assert _told(balance) == _told(self.books)
        for by, name_of in (
            ("account", lambda place: place.account),
            ("channel", lambda place: str(place.channel)),
            ("model", lambda place: place.model),
        ):
            told = (await self.desk.get(f"/ledger/profit?by={by}")).json()
            assert nanos_of_usd(told["total"]["revenue"]) == self.books["revenue"]
            assert nanos_of_usd(told["total"]["cost"]) == -self.books["provider_cost"]
            expected: Counter[tuple[str, str]] = Counter()
            for place, nanos in self.revenue.items():
                if place is not None:
                    expected["revenue", name_of(place)] += nanos
            for place, nanos in self.cost.items():
                expected["cost", name_of(place)] += nanos
            found = Counter(
                {
                    (what, line["name"]): nanos_of_usd(line[what])
                    for line in told["lines"]
                    for what in ("revenue", "cost")
                }
            )
            assert _told(found) == _told(expected), by


def _told(sums: Any) -> dict[Any, int]:  # noqa: ANN401
    return {name: nanos for name, nanos in sums.items() if nanos}


def machine_over(kept: Kept) -> type[RuleBasedStateMachine]:
    """A machine that goes on where the one before it has stopped."""
    run = kept.loop.run

    class InAnyOrder(RuleBasedStateMachine):
        @rule(
            account=st.integers(0, 1),
            amount=AMOUNTS,
            source=st.sampled_from(["manual", "payment", "promotion", "goodwill", "import"]),
            method=st.sampled_from(["stripe", "bank"]),
        )
        def credit(self, account: int, amount: int, source: str, method: str) -> None:
            run(kept.credit(kept.accounts[account][0], amount, source, method))

        @rule(
            account=st.integers(0, 1),
            channel=st.integers(0, 1),
            model=st.sampled_from(sorted(MODELS)),
            tokens=st.integers(1, 999).map(lambda half: 2 * half),
            ending=st.sampled_from(["settled", "settled", "settled", "refunded", "late"]),
        )
        def call(self, account: int, channel: int, model: str, tokens: int, ending: str) -> None:
            run(kept.call(account, channel, model, tokens, ending))

        @precondition(lambda _: bool(kept.calls))
        @rule(picked=PICKS, nanos=AMOUNTS, reason=st.sampled_from(["refund", "dispute"]))
        def give_back(self, picked: int, nanos: int, reason: str) -> None:
            run(kept.give_back(picked, nanos // 100_000, reason))

        @rule(
            account=st.integers(0, 1),
            amount=AMOUNTS,
            direction=st.sampled_from(["credit", "debit"]),
            code=st.sampled_from(["refund", "dispute", "goodwill", "billing_error", "other"]),
            method=st.sampled_from([None, "stripe"]),
        )
        def adjust(
            self, account: int, amount: int, direction: str, code: str, method: str | None
        ) -> None:
            wanted: dict[str, Any] = {"account": kept.accounts[account][0], "code": code}
            wanted |= {"amount": format_usd(amount), "direction": direction}
            against = "promotions" if code == "goodwill" else "adjustments"
            if code in ("refund", "dispute"):
                wanted |= {} if method is None else {"method": method}
                against = f"clearing:{method or 'manual'}"
            run(kept.adjust(wanted, against, amount if direction == "credit" else -amount))

        @precondition(lambda _: bool(kept.moved))
        @rule(picked=PICKS, code=st.sampled_from(["refund", "dispute", "fraud", "other"]))
        def reverse(self, picked: int, code: str) -> None:
            one = kept.moved[picked % len(kept.moved)]
            run(kept.adjust({"position": one.position, "code": code}, one.against, -one.amount))

        @rule(model=st.sampled_from(sorted(MODELS)), times=TIMES)
        def correct(self, model: str, times: Fraction) -> None:
            run(kept.correct(model, times))

        def teardown(self) -> None:
            kept.check()

    return InAnyOrder


@pytest.fixture
def kept(servers: Servers, tmp_path: Path) -> Iterator[Kept]:
    loop = LoopThread()
    one = Kept(servers, loop, tmp_path)
    yield one
    one.close()
    loop.close()


def test_the_books_add_up_in_any_order(kept: Kept) -> None:
    run_state_machine_as_test(
        machine_over(kept),
        settings=settings(max_examples=12, stateful_step_count=25, deadline=None),
    )
