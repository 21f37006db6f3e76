"""Identifiers: in order of time for charges, the same for ever for outside facts."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import clock
from ledger.ids import charge_id, derived_id, entity_id, key_digest, window_id


def test_a_charge_id_is_a_version_7_uuid_of_this_moment() -> None:
    before_ms = clock.now_us() // 1_000
    made = charge_id()
    after_ms = clock.now_us() // 1_000
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert before_ms <= made.int >> 80 <= after_ms


def test_charge_ids_do_not_repeat() -> None:
    assert len({charge_id() for _ in range(10_000)}) == 10_000


@given(st.sampled_from(["price", "group", "api_key"]), st.text())
def test_a_derived_id_has_no_time_and_is_always_the_same(kind: str, name: str) -> None:
    made = derived_id(kind, name)
    assert made == derived_id(kind, name)
    assert made.int >> 80 == 0
    assert made.version == 5


def test_an_entity_id_has_no_time_and_sorts_before_every_charge() -> None:
    assert entity_id() != entity_id()
    assert entity_id().int >> 80 == 0
    assert entity_id() < charge_id()


def test_kind_and_name_cannot_run_into_each_other() -> None:
    assert derived_id("a", "b:c") != derived_id("a", "b") != derived_id("b", "a")
    with pytest.raises(AssertionError):
        derived_id("a:b", "c")


def test_windows_differ_by_owner_period_and_start() -> None:
    one, other = UUID(int=1), UUID(int=2)
    ids = {
        window_id(owner, period, start)
        for owner in (one, other)
        for period in ("day", "week")
        for start in (0, 86_400_000_000)
    }
    assert len(ids) == 8


def test_derived_ids_are_those_of_every_release() -> None:
    assert derived_id("price", "gpt-4o") == UUID("00000000-0000-53eb-8aa1-611be05ebea7")
    assert window_id(UUID(int=1), "day", 0) == UUID("00000000-0000-55de-9c0b-a39b4c6d993e")
    assert key_digest("tg-test") == (
        "0fecdb892ac73adb53754023054c05266a4d84c91a95044cf90c0b3eba742f61"
    )
