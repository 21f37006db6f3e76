"""Settings of the installation over the desk's API."""

from datetime import UTC, datetime, timedelta

from ledger.book_days import calendar
from tests.admin_api.desks import OpenDesk, Servers, at_desk


def test_d5_the_time_zone_of_the_books_is_changed_and_listed(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        given = {"value": "Asia/Kathmandu", "reason": "moved"}
        changed = await desk.put("/settings/book.time_zone", json=given)
        assert (changed.status_code, changed.json()["value"]) == (200, "Asia/Kathmandu")
        listed = (await desk.get("/settings")).json()["settings"]
        assert [(one["name"], one["value"]) for one in listed] == [
            ("approvals.one_operator", "no"),
            ("book.time_zone", "Asia/Kathmandu"),
            ("calls.attempts", "16"),
            ("calls.attempts_within_seconds", "180"),
            ("calls.shrink_holds", "yes"),
            ("credits.alone_up_to", "100"),
        ]

    at_desk(servers, check)


def test_d5_a_setting_that_there_is_not_and_a_value_that_is_none(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        unknown = await desk.put("/settings/colour", json={"value": "red"})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
        for value in ("Mars/Olympus", "", "../UTC", 1, None):
            answer = await desk.put("/settings/book.time_zone", json={"value": value})
            assert answer.status_code == 422

    at_desk(servers, check)


def test_c3_how_often_a_call_is_sent_is_a_whole_number(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        for value in ("0", "101", "-1", "1.5", "\u0661", "many"):
            answer = await desk.put("/settings/calls.attempts", json={"value": value})
            assert answer.status_code == 422, value
        for value in ("1", "100"):
            answer = await desk.put("/settings/calls.attempts", json={"value": value})
            assert (answer.status_code, answer.json()["value"]) == (200, value)

    at_desk(servers, check)


def test_d5_only_root_changes_settings(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        new = (await desk.post("/operators", json={"name": "Eve", "role": "operator"})).json()
        answer = await desk.put(
            "/settings/book.time_zone", json={"value": "UTC"}, token=new["token"]
        )
        assert answer.status_code == 403
        assert (await desk.get("/settings", token=new["token"])).status_code == 200

    at_desk(servers, check)


def test_d5_the_first_zone_counts_from_the_first_event_on() -> None:
    set_at = datetime(2026, 11, 30, 18, 20, 7, tzinfo=UTC)  # in Kathmandu the next day has begun
    days = calendar([(set_at, "Asia/Kathmandu")])
    assert days.day_of(set_at) == datetime(2026, 12, 1, tzinfo=UTC).date()
    assert days.zone_at(set_at - timedelta(days=1)) == "Asia/Kathmandu"
    later = calendar([(set_at, "Asia/Kathmandu"), (set_at + timedelta(days=9), "UTC")])
    assert later.zone_at(set_at + timedelta(days=9)) == "Asia/Kathmandu"
    assert later.zone_at(set_at + timedelta(days=9, minutes=15)) == "UTC"
    assert calendar([(set_at, "no/zone")]).zone_at(set_at) == "UTC"
