"""Whether a call was admitted by what the log had said by then: its group and what that pays, the
caps of its account and its key, their windows, and the moment itself.

The append function compares prices alone with the log. What else a node knows of it is a little
old: whatever was in force within KNOWN_FOR_S before the hold was stored is lawful.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from ledger.admission_bounds import CLOCKS_APART_MAX_S, KNOWN_FOR_S
from ledger.book_days import TIME_ZONE_SETTING, BookDays, calendar
from ledger.pricing import Multiplier
from ledger.store.reader import Recorded
from ledger.streams.account import AccountOpened, LimitsSet, SpendingLimits
from ledger.streams.api_key import KeyChanged, KeyIssued, KeyTerms
from ledger.streams.charge.events import QuotaReserved, Window
from ledger.streams.group import GroupSet
from ledger.streams.setting import SettingChanged
from ledger.windows import windows

Value = TypeVar("Value")

_KNOWN_FOR = timedelta(seconds=KNOWN_FOR_S)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_QUARTER_US = 15 * 60 * 1_000_000
"""A day begins on one in every time zone."""
_LIST_PRICE = Multiplier()
_AGO_MIN_US = round(-CLOCKS_APART_MAX_S * 1_000_000)
_AGO_MAX_US = round((CLOCKS_APART_MAX_S + KNOWN_FOR_S) * 1_000_000)


class _Held(Generic[Value]):
    """What the log says last of something, and what it said until a moment ago."""

    __slots__ = ("_earlier", "now")

    def __init__(self, first: Value) -> None:
        self.now = first
        self._earlier: list[tuple[datetime, Value]] = []

    def set(self, value: Value, at: datetime) -> None:
        self._earlier = [(until, each) for until, each in self._earlier if at - until <= _KNOWN_FOR]
        self._earlier.append((at, self.now))
        self.now = value

    def known(self, at: datetime) -> Iterator[Value]:
        """All that a call may have been admitted by whose hold was stored then, the last first."""
        yield self.now
        for until, value in reversed(self._earlier):
            if at - until <= _KNOWN_FOR:
                yield value


class _Account(_Held[tuple[str, SpendingLimits]]):
    """The group and the limits of an account, and its windows of a moment ago."""

    __slots__ = ("_days", "_quarter", "_windows", "_windows_of")

    def __init__(self, first: tuple[str, SpendingLimits]) -> None:
        super().__init__(first)
        self._windows_of: SpendingLimits | None = None
        self._days: BookDays | None = None
        self._quarter = 0
        self._windows: tuple[Window, ...] = ()

    def windows(self, opening: QuotaReserved, days: BookDays) -> tuple[Window, ...]:
        """Those of now that a charge falls into."""
        limits, quarter = self.now[1], opening.admitted_at_us // _QUARTER_US
        if limits is not self._windows_of or quarter != self._quarter or days is not self._days:
            self._windows_of, self._quarter, self._days = limits, quarter, days
            self._windows = _windows(opening, limits, days)
        return self._windows


class _Key(_Held[KeyTerms]):
    """The terms of a key."""

    __slots__ = ("account_id",)

    def __init__(self, issued: KeyIssued) -> None:
        super().__init__(issued.terms)
        self.account_id = issued.account_id


class AdmissionsSoFar:
    """Takes the configuration in the order of the log. Memory: the groups, and the limits of every
    account and key.
    """

    def __init__(self) -> None:
        self._groups: dict[str, _Held[GroupSet | None]] = {}
        self._accounts: dict[UUID, _Account] = {}
        self._keys: dict[UUID, _Key] = {}
        self._zones: list[tuple[datetime, str]] = []
        self._days = _Held(BookDays())

    def add(self, one: Recorded) -> None:
        """The next event of the log; what is no configuration of calls changes nothing."""
        at = one.recorded_at
        match one.event:
            case GroupSet(name=name) as group:
                self._groups.setdefault(name, _Held(None)).set(group, at)
            case AccountOpened(account_id=account_id, group=group_name):
                self._accounts[account_id] = _Account((group_name, SpendingLimits()))
            case LimitsSet(account_id=account_id, group=group_name, limits=limits):
                if account_id in self._accounts:
                    self._accounts[account_id].set((group_name, limits), at)
            case KeyIssued(key_id=key_id) as issued:
                self._keys[key_id] = _Key(issued)
            case KeyChanged(key_id=key_id, terms=terms):
                if key_id in self._keys:
                    self._keys[key_id].set(terms, at)
            case SettingChanged(name=name, value=zone) if name == TIME_ZONE_SETTING:
                self._zones.append((at, zone))
                self._days.set(calendar(self._zones), at)
            case _:
                pass

    def wrong_terms(self, opening: QuotaReserved, at: datetime) -> str | None:
        """What a charge opens by that the log never said, or no longer; `at`: when it was stored.

        None: all is as it was.
        """
        key, account = self._keys.get(opening.key_id), self._accounts.get(opening.account_id)
        if key is None or account is None or key.account_id != opening.account_id:
            return f"opened for the key {opening.key_id}, which {opening.account_id} does not have"
        if self._is_as_now(opening, key.now, account):
            return None
        return (
            _wrong_group(opening, key, account, at)
            or self._wrong_multiplier(opening, account, at)
            or self._wrong_caps(opening, key, account, at)
        )

    def _is_as_now(self, opening: QuotaReserved, key: KeyTerms, account: _Account) -> bool:
        """By what is in force: nearly all are."""
        terms, (group, limits) = opening.terms, account.now
        held = self._groups.get(terms.group)
        return (
            terms.group == (key.group or group)
            and terms.multiplier == (_LIST_PRICE if held is None else _paid(held.now, group))
            and opening.key_limit_nanos == key.limit_nanos
            and opening.overdraft_nanos == limits.overdraft_nanos
            and opening.windows == account.windows(opening, self._days.now)
        )

    def _wrong_multiplier(
        self, opening: QuotaReserved, account: _Account, at: datetime
    ) -> str | None:
        terms = opening.terms
        held = self._groups.get(terms.group, _Held[GroupSet | None](None))
        known = [_paid(group, own) for group in held.known(at) for own, _ in account.known(at)]
        if terms.multiplier in known:
            return None
        return (
            f"opened at {_ratio(terms.multiplier)} of the price, "
            f"the group {terms.group!r} pays {_ratio(known[0])}"
        )

    def _wrong_caps(
        self, opening: QuotaReserved, key: _Key, account: _Account, at: datetime
    ) -> str | None:
        if opening.key_limit_nanos not in (each.limit_nanos for each in key.known(at)):
            return f"opened under a limit of {opening.key_limit_nanos} nanos, which its key has not"
        known = [limits for _, limits in account.known(at)]
        if opening.overdraft_nanos not in (limits.overdraft_nanos for limits in known):
            return f"opened with {opening.overdraft_nanos} nanos of overdraft, which it has not"
        for limits in known:
            for days in self._days.known(at):
                # Earlier releases took the last zone for all of time.
                always = calendar([(at, days.zones[-1][1].key)])
                if any(
                    opening.windows == _windows(opening, limits, each) for each in (days, always)
                ):
                    return None
        return "opened in other windows than its account has, or under other caps"


def _wrong_group(opening: QuotaReserved, key: _Key, account: _Account, at: datetime) -> str | None:
    given = opening.terms.group
    known = {terms.group or group for terms in key.known(at) for group, _ in account.known(at)}
    return None if given in known else f"opened in the group {given!r}, not in {sorted(known)}"


def wrong_moment(opening: QuotaReserved, at: datetime) -> str | None:
    """Why a charge that was stored at a moment cannot have been admitted when it says; None: it
    can. Of those that are never charged it may lie longer back: their holds waited for a database.
    """
    ago_us = (at - _EPOCH) // _MICROSECOND - opening.admitted_at_us
    if _AGO_MIN_US <= ago_us <= _AGO_MAX_US:
        return None
    return f"admitted {ago_us} microseconds before it was stored, which cannot be"


def _paid(group: GroupSet | None, own_group: str) -> Multiplier:
    if group is None:
        return _LIST_PRICE
    return group.for_members.get(own_group, group.multiplier)


def _ratio(multiplier: Multiplier) -> str:
    return f"{multiplier.numerator}/{multiplier.denominator}"


def _windows(opening: QuotaReserved, limits: SpendingLimits, days: BookDays) -> tuple[Window, ...]:
    try:
        return windows(opening.account_id, limits, opening.admitted_at_us, days)
    except (ValueError, OSError, OverflowError):  # no such moment
        return ()
