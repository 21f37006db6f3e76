"""A charge is held to what the log gave its account and its key when it was opened (T1, T2)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from ledger.admission_bounds import CLOCKS_APART_MAX_S, KNOWN_FOR_S
from ledger.admission_checks import AdmissionsSoFar
from ledger.book_days import calendar
from ledger.charge_checks import ChargeChecks, Problem
from ledger.ids import derived_id
from ledger.pricing import Multiplier
from ledger.streams.account import AccountOpened, LimitsSet, SpendingLimits
from ledger.streams.api_key import KeyChanged, KeyTerms
from ledger.streams.charge import rules
from ledger.streams.charge.events import Cover, QuotaReserved, Terms, Window
from ledger.streams.contract import Event
from ledger.streams.group import GroupSet
from ledger.streams.price import PriceSet
from ledger.streams.setting import SettingChanged
from ledger.windows import windows
from tests.ledger.test_charge_checks import ACCOUNT, BOOT, CHARGE, KEY, KNOWN, SOLD, one, settle

NOON = datetime(2030, 1, 16, 12, tzinfo=UTC)
"""A Wednesday: when calls are admitted here, and stored a second later."""
KNOWN_FOR = timedelta(seconds=KNOWN_FOR_S)
LIMITS = SpendingLimits(overdraft_nanos=70, day_nanos=10**9, week_nanos=10**10, month_nanos=10**11)
KEY_TERMS = KeyTerms(limit_nanos=10**12, group="vip")


@dataclass(frozen=True)
class At:
    """An event, and how long before noon it was stored."""

    event: Event
    before: timedelta = timedelta(days=1)


BOOKS = [
    At(PriceSet(model="m", price=SOLD, effective_from_us=0, actor="root")),
    *[At(event) for event in KNOWN],
    At(GroupSet(name="default", multiplier=Multiplier(2), actor="root")),
    At(
        GroupSet(
            name="vip",
            multiplier=Multiplier(3, 2),
            actor="root",
            for_members={"staff": Multiplier(1, 2)},
        )
    ),
    At(LimitsSet(account_id=ACCOUNT, limits=LIMITS, group="staff", actor="root")),
    At(KeyChanged(account_id=ACCOUNT, key_id=KEY, terms=KEY_TERMS, actor="root")),
    At(SettingChanged(name="book.time_zone", value="Asia/Kolkata", actor="root")),
]
"""A key that calls as `vip`, of an account of `staff` with every limit, in India."""


def us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000


def in_zone(zone: str, limits: SpendingLimits = LIMITS, at: datetime = NOON) -> tuple[Window, ...]:
    return windows(ACCOUNT, limits, us(at), calendar([(NOON, zone)]))


TERMS = Terms(model="m", group="vip", price_version=1, multiplier=Multiplier(1, 2))
COVER = Cover(
    account_id=ACCOUNT,
    key_id=KEY,
    overdraft_nanos=70,
    key_limit_nanos=10**12,
    windows=in_zone("Asia/Kolkata"),
)


def found(
    *more: At,
    cover: Cover = COVER,
    terms: Terms = TERMS,
    admitted: datetime = NOON,
    stored: timedelta = timedelta(seconds=1),
    is_charged: bool = True,
) -> list[Problem]:
    """What is wrong with a call after these books; `stored`: how long after noon its hold was."""
    reserve = rules.Reserve(
        hold_nanos=10_000_000,
        cover=cover,
        terms=terms,
        admitted_at_us=us(admitted),
        node="n",
        boot=BOOT,
        dialect="openai_chat",
    )
    (opening,) = rules.decide(rules.Charge(), reserve)
    assert isinstance(opening, QuotaReserved)
    state = rules.evolve(rules.Charge(), opening)
    command = settle(None, None) if is_charged else rules.Refund("not_admitted", "n", BOOT)
    closings = rules.decide(state, command)
    checks, positions = ChargeChecks(), count(1)
    told: list[Problem] = []
    for each in (*BOOKS, *more):
        position = next(positions)
        stream_id = derived_id("test", str(position))
        told += checks.check(one(position, stream_id, 1, each.event, NOON - each.before))
    for version, event in enumerate((opening, *closings), 1):
        told += checks.check(one(next(positions), CHARGE, version, event, NOON + stored))
    return told


def grouped(name: str, multiplier: Multiplier, before: timedelta) -> At:
    return At(GroupSet(name=name, multiplier=multiplier, actor="root"), before)


def limited(limits: SpendingLimits, group: str, before: timedelta) -> At:
    return At(LimitsSet(account_id=ACCOUNT, limits=limits, group=group, actor="root"), before)


def keyed(terms: KeyTerms, before: timedelta) -> At:
    return At(KeyChanged(account_id=ACCOUNT, key_id=KEY, terms=terms, actor="root"), before)


def zoned(zone: str, before: timedelta) -> At:
    return At(SettingChanged(name="book.time_zone", value=zone, actor="root"), before)


FORGED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("opened at 1/4 of the price", {"multiplier": Multiplier(1, 4)}, {}),
    ("opened at 3/2 of the price", {"multiplier": Multiplier(3, 2)}, {}),
    ("opened at 1/1 of the price", {"multiplier": Multiplier()}, {}),
    ("opened in the group 'default'", {"group": "default", "multiplier": Multiplier(2)}, {}),
    ("opened in the group 'staff'", {"group": "staff", "multiplier": Multiplier()}, {}),
    ("opened under a limit of None", {}, {"key_limit_nanos": None}),
    ("opened under a limit of 5 nanos", {}, {"key_limit_nanos": 5}),
    ("opened with 71 nanos of overdraft", {}, {"overdraft_nanos": 71}),
    ("opened in other windows", {}, {"windows": ()}),
    ("opened in other windows", {}, {"windows": in_zone("UTC")}),
    (
        "opened in other windows",
        {},
        {"windows": in_zone("Asia/Kolkata", at=NOON - 3 * KNOWN_FOR * 60 * 24)},
    ),
    (
        "opened in other windows",
        {},
        {"windows": (Window(COVER.windows[0].scope, 10**18), *COVER.windows[1:])},
    ),
    ("opened for the key", {}, {"key_id": BOOT}),
    ("opened for the key", {}, {"account_id": BOOT}),
]


@pytest.mark.parametrize(("said", "terms", "cover"), FORGED)
def test_t1_what_the_log_never_gave_is_told(
    said: str, terms: dict[str, Any], cover: dict[str, Any]
) -> None:
    ((check, message),) = found(terms=replace(TERMS, **terms), cover=replace(COVER, **cover))
    assert check == "terms"
    assert message.startswith(f"at position {len(BOOKS) + 1} {said}")


def test_t1_what_the_log_gave_is_lawful() -> None:
    assert found() == []


@pytest.mark.parametrize("is_long_ago", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        lambda before: grouped("vip", Multiplier(7), before),
        lambda before: limited(LIMITS, "others", before),
        lambda before: limited(replace(LIMITS, overdraft_nanos=0), "staff", before),
        lambda before: limited(replace(LIMITS, week_nanos=1), "staff", before),
        lambda before: keyed(replace(KEY_TERMS, limit_nanos=3), before),
        lambda before: keyed(replace(KEY_TERMS, group=None), before),
    ],
)
def test_t1_a_change_counts_once_every_node_must_know_it(change: Any, is_long_ago: bool) -> None:  # noqa: ANN401
    """A call that is under way is stored after it, and was admitted before."""
    before = KNOWN_FOR if is_long_ago else KNOWN_FOR - timedelta(seconds=1)
    told = found(change(before))
    assert [check for check, _ in told] == (["terms"] if is_long_ago else [])


def test_t1_what_was_changed_and_changed_back_within_a_call_is_lawful() -> None:
    seconds = [timedelta(seconds=n) for n in (5, 3)]
    first, second = (
        grouped("vip", Multiplier(7), seconds[0]),
        grouped("vip", Multiplier(8), seconds[1]),
    )
    for multiplier in (Multiplier(7), Multiplier(8), Multiplier(1, 2)):
        assert found(first, second, terms=replace(TERMS, multiplier=multiplier)) == []
    long_ago = grouped("vip", Multiplier(9), 2 * KNOWN_FOR)
    (told,) = found(long_ago, first, second)
    assert told[0] == "terms"


def opening(at: datetime, windows: tuple[Window, ...], account_id: UUID = ACCOUNT) -> QuotaReserved:
    return QuotaReserved(
        account_id=account_id,
        key_id=KEY,
        hold_nanos=1,
        overdraft_nanos=70,
        key_limit_nanos=10**12,
        windows=windows,
        terms=TERMS,
        admitted_at_us=us(at),
        node="n",
        boot=BOOT,
        dialect="openai_chat",
    )


def admissions(*more: At) -> AdmissionsSoFar:
    so_far = AdmissionsSoFar()
    for each in (*BOOKS, *more):
        so_far.add(one(1, BOOT, 1, each.event, NOON - each.before))
    return so_far


def test_t1_calls_on_end_fall_into_the_windows_of_their_own_day_and_zone() -> None:
    so_far, later = admissions(), NOON + timedelta(days=40)
    for at in (NOON, later, NOON, later):
        for other in (NOON, later):
            told = so_far.wrong_terms(opening(at, in_zone("Asia/Kolkata", at=other)), at)
            assert (told is None) == (at == other)
    at_once = timedelta(0)
    so_far.add(one(1, BOOT, 1, zoned("Europe/Riga", at_once).event, NOON))
    assert so_far.wrong_terms(opening(later, in_zone("Europe/Riga", at=later)), later) is None
    assert so_far.wrong_terms(opening(later, in_zone("Asia/Kolkata", at=later)), later)


def test_t1_another_accounts_key_is_told() -> None:
    other = derived_id("test", "another account")
    so_far = admissions(
        At(AccountOpened(account_id=other, group="staff", actor="root")),
        At(LimitsSet(account_id=other, limits=LIMITS, group="staff", actor="root")),
    )
    windows_of = windows(other, LIMITS, us(NOON), calendar([(NOON, "Asia/Kolkata")]))
    told = so_far.wrong_terms(opening(NOON, windows_of, other), NOON)
    assert told == f"opened for the key {KEY}, which {other} does not have"


def test_t1_a_zone_that_is_none_is_no_crash() -> None:
    assert found(zoned("Atlantis/Poseidonis", 2 * KNOWN_FOR)) == []


CLOCKS = timedelta(seconds=CLOCKS_APART_MAX_S)
LITTLE = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("stored", "is_lawful"),
    [
        (CLOCKS + KNOWN_FOR, True),
        (CLOCKS + KNOWN_FOR + LITTLE, False),
        (-CLOCKS, True),
        (-CLOCKS - LITTLE, False),
        (timedelta(days=1_000), False),
    ],
)
def test_t2_a_moment_of_admission_far_from_when_the_hold_was_stored_is_told(
    stored: timedelta, is_lawful: bool
) -> None:
    told = found(stored=stored)
    assert [check for check, _ in told] == ([] if is_lawful else ["price"])
    assert is_lawful or "which cannot be" in told[0][1]


def test_t2_an_old_price_is_not_had_by_an_old_moment() -> None:
    dearer = PriceSet(
        model="m", price=SOLD, effective_from_us=us(NOON - timedelta(hours=2)), actor="root"
    )
    (told,) = found(At(dearer), admitted=NOON - timedelta(hours=3), cover=in_windows_of_then())
    assert told[0] == "price"


def in_windows_of_then() -> Cover:
    return replace(COVER, windows=in_zone("Asia/Kolkata", at=NOON - timedelta(hours=3)))


def test_t2_a_hold_that_waited_for_a_database_and_was_given_back_is_lawful() -> None:
    forged = replace(TERMS, multiplier=Multiplier(5))
    assert found(stored=timedelta(days=1), is_charged=False) == []
    assert found(terms=forged, is_charged=False) == []


@pytest.mark.parametrize(
    "change",
    [{"overdraft_nanos": 10**9}, {"key_limit_nanos": 5}, {"admitted_at_us": 1}, {"node": "o"}],
)
def test_t1_a_hold_that_grows_keeps_its_terms(change: dict[str, Any]) -> None:
    opening = QuotaReserved(
        account_id=ACCOUNT,
        key_id=KEY,
        hold_nanos=1,
        terms=Terms(model="m", group="default", price_version=1),
        admitted_at_us=us(NOON),
        node="n",
        boot=BOOT,
        dialect="openai_chat",
    )
    for changes, said in (
        (change, ["the hold grows under other terms than it was opened under"]),
        ({}, []),
    ):
        checks = ChargeChecks()
        for each in BOOKS[:1]:
            list(checks.check(one(1, derived_id("test", "price"), 1, each.event, NOON)))
        list(checks.check(one(2, CHARGE, 1, opening, NOON)))
        grown = replace(opening, hold_nanos=9, **changes)
        assert [message for _, message in checks.check(one(3, CHARGE, 2, grown, NOON))] == said
