"""Whatever is reserved, published, expired and flushed, in any order, the verdict is the rule's.

The model is the rule in plain integers: short if, in a known and capped scope, what was published
last + what is in flight + the amount exceeds the cap.
"""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.store.append import ScopeBalance
from projections.cache.balances import BalanceCache, Verdict
from projections.cache.scripts import LARGEST_EXACT
from tests.projections.cache.driving import balance_cache, raw
from tollgate.embedded.valkey import EmbeddedValkey

ACCOUNTS = (UUID(int=1), UUID(int=2))
SCOPES = (UUID(int=11), UUID(int=12), UUID(int=13))
HOLDS = tuple(UUID(int=100 + i) for i in range(8))

amounts = st.integers(0, 60) | st.integers(LARGEST_EXACT - 60, LARGEST_EXACT)
signed = st.integers(-120, 60) | st.integers(-LARGEST_EXACT, 60 - LARGEST_EXACT)
caps = st.none() | st.integers(-10, 60) | st.integers(LARGEST_EXACT - 60, LARGEST_EXACT + 60)


@dataclass(frozen=True)
class Reserve:
    account: UUID
    hold: UUID
    amount: int
    limits: tuple[tuple[UUID, int | None], ...]


@dataclass(frozen=True)
class Publish:
    balances: tuple[ScopeBalance, ...]
    holds: tuple[tuple[UUID, UUID], ...]


@dataclass(frozen=True)
class Expire:
    account: UUID
    hold: UUID


@dataclass(frozen=True)
class Flush:
    scripts: bool


Step = Reserve | Publish | Expire | Flush

accounts = st.sampled_from(ACCOUNTS)
holds = st.sampled_from(HOLDS)
scopes = st.sampled_from(SCOPES)
reserves = st.builds(
    Reserve,
    accounts,
    holds,
    amounts,
    st.dictionaries(scopes, caps).map(lambda limits: tuple(limits.items())),
)
publishes = st.builds(
    Publish,
    st.lists(st.builds(ScopeBalance, accounts, scopes, signed, st.integers(1, 12)), max_size=4).map(
        tuple
    ),
    st.lists(st.tuples(accounts, holds), max_size=4).map(tuple),
)
steps = st.one_of(
    reserves,
    reserves,
    publishes,
    st.builds(Expire, accounts, holds),
    st.builds(Flush, st.booleans()),
)


@dataclass
class Model:
    """What Redis ought to know."""

    known: dict[tuple[UUID, UUID], tuple[int, int]] = field(default_factory=dict)
    in_flight: dict[tuple[UUID, UUID], tuple[int, frozenset[UUID]]] = field(default_factory=dict)

    def held(self, account: UUID, scope: UUID) -> int:
        return sum(
            amount
            for (owner, _), (amount, counted_in) in self.in_flight.items()
            if owner == account and scope in counted_in
        )

    def reserve(self, step: Reserve) -> Verdict:
        if step.amount == 0 or not step.limits or (step.account, step.hold) in self.in_flight:
            return Verdict.OK
        is_countable = True
        for scope, cap in step.limits:
            held = self.held(step.account, scope)
            is_countable = is_countable and held + step.amount <= LARGEST_EXACT
            known = self.known.get((step.account, scope))
            # A cap beyond exact doubles is the one thing the cache does not judge.
            if cap is None or cap > LARGEST_EXACT or known is None:
                continue
            if known[0] + held + step.amount > cap:
                return Verdict.SHORT
        if is_countable:
            counted_in = frozenset(scope for scope, _ in step.limits)
            self.in_flight[step.account, step.hold] = (step.amount, counted_in)
        return Verdict.OK

    def publish(self, step: Publish) -> None:
        for balance in step.balances:
            place = (balance.account_id, balance.scope)
            if place not in self.known or balance.position >= self.known[place][1]:
                self.known[place] = (balance.used_nanos, balance.position)
        for place in step.holds:
            self.in_flight.pop(place, None)


async def follow(url: str, cache: BalanceCache, model: Model, step: Step) -> None:
    match step:
        case Reserve():
            verdict = await cache.reserve(step.account, step.hold, step.amount, step.limits)
            assert verdict is model.reserve(step)
        case Publish():
            assert await cache.publish(step.balances, step.holds)
            model.publish(step)
        case Expire():
            expire(url, step)
            model.in_flight.pop((step.account, step.hold), None)
        case Flush(scripts=True):
            with raw(url) as client:
                client.script_flush()
        case Flush():
            with raw(url) as client:
                client.flushall()
            model.known.clear()
            model.in_flight.clear()


def expire(url: str, step: Expire) -> None:
    """Make a hold look as if it had been taken long ago; nothing if it is not in flight."""
    prefix = f"tollgate:{{{step.account.hex}}}:"
    with raw(url) as client:
        if client.zadd(prefix + "times", {step.hold.hex: 1}, xx=True, ch=True):
            client.hset(prefix + "holds", "sweep_at", 1 + 60_000)


@settings(max_examples=150, deadline=None)
@given(story=st.lists(steps, max_size=30))
def test_the_verdict_is_the_rule_s_under_every_order_of_things(
    valkey_server: EmbeddedValkey, story: list[Step]
) -> None:
    url = valkey_server.url

    async def scenario() -> None:
        with raw(url) as client:
            client.flushall()
        model = Model()
        async with balance_cache(url) as cache:
            for step in story:
                await follow(url, cache, model, step)
            for account in ACCOUNTS:
                for scope in SCOPES:
                    assert await cache.read(account, scope) == model.known.get((account, scope))

    asyncio.run(scenario())
