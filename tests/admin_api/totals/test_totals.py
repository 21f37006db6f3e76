"""What accounts and keys came to, compared with the budgets and a fold of the log."""

from uuid import UUID

from admin_api.fields.inputs import format_moment
from ledger.ids import entity_id
from ledger.money import format_usd, parse_usd
from ledger.store.reader import Recorded
from ledger.streams.adjustment import AdjustmentPosted
from ledger.streams.charge.events import ChargeAdjusted, QuotaReserved, RefundIssued, UsageSettled
from ledger.streams.credit import CreditGranted
from tests.admin_api.desks import OpenDesk, Servers, at_desk
from tests.admin_api.grown import Told, fold, grow, read_log


def spent(log: list[Recorded]) -> int:
    settled = sum(one.event.charged_nanos for one in log if isinstance(one.event, UsageSettled))
    return settled + sum(
        one.event.delta_nanos for one in log if isinstance(one.event, ChargeAdjusted)
    )


def adjusted(log: list[Recorded]) -> int:
    """In the customer's favour."""
    corrected = sum(one.event.delta_nanos for one in log if isinstance(one.event, ChargeAdjusted))
    return (
        sum(one.event.amount_nanos for one in log if isinstance(one.event, AdjustmentPosted))
        - corrected
    )


def refunds(log: list[Recorded]) -> list[Recorded]:
    return [one for one in log if isinstance(one.event, RefundIssued)]


def nanos(text: str) -> int:
    return -parse_usd(text[1:]) if text.startswith("-") else parse_usd(text)


def openings(log: list[Recorded]) -> list[Recorded]:
    return [one for one in log if isinstance(one.event, QuotaReserved) and one.version == 1]


def test_accounts_came_to_what_the_log_and_the_budgets_say(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        ada = await desk.account("Ada")
        await desk.credit(ada, "2.5")
        grown = grow(servers)
        await fold(servers)
        log = read_log(servers)
        told: list[Told] = []
        after = ""
        while True:
            page = (await desk.get(f"/totals/accounts?limit=2{after}")).json()
            told += page["accounts"]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert [each["id"] for each in told] == sorted([ada, *map(str, grown.accounts)])
        assert page["position"] == log[-1].position
        for each in told:
            own = [one for one in log if str(one.account_id) == each["id"]]
            credits_ = [one.event for one in own if isinstance(one.event, CreditGranted)]
            assert each["credits"] == len(credits_)
            assert each["credited"] == format_usd(sum(one.amount_nanos for one in credits_))
            settled = [one.event for one in own if isinstance(one.event, UsageSettled)]
            assert each["charged"] == format_usd(sum(one.charged_nanos for one in settled))
            assert (each["requests"], each["refunds"]) == (len(settled), len(refunds(own)))
            moved = -nanos(each["charged"]) + nanos(each["adjusted"])
            assert nanos(each["posted"]) == nanos(each["credited"]) + moved
            assert nanos(each["adjusted"]) == adjusted(own)
            assert each["position"] == own[-1].position
            balance = (await desk.get(f"/accounts/{each['id']}/balance")).json()
            assert {name: each[name] for name in balance} == balance
        names = {each["id"]: each["name"] for each in told}
        assert names[ada] == "Ada"

    at_desk(servers, check)


def test_keys_came_to_what_the_log_says(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        grown = grow(servers)
        await fold(servers)
        log = read_log(servers)
        for account_id in grown.accounts:
            told = (await desk.get(f"/totals/keys?account={account_id}")).json()["keys"]
            assert [UUID(each["id"]) for each in told] == sorted(grown.keys[account_id])
            for each in told:
                own = [one for one in log if str(getattr(one.event, "key_id", "")) == each["id"]]
                used = openings(own)
                assert (each["account_id"], each["name"]) == (str(account_id), None)
                settled = [one for one in own if isinstance(one.event, UsageSettled)]
                counts = (each["requests"], each["refunds"])
                assert counts == (len(settled), len(refunds(own)))
                assert each["spent"] == format_usd(spent(own))
                last = format_moment(used[-1].recorded_at) if used else None
                assert each["last_used_at"] == last
        whole = (await desk.get(f"/totals/keys?account={grown.accounts[1]}")).json()["keys"]
        assert any(each["requests"] for each in whole)
        first = (await desk.get(f"/totals/keys?account={grown.accounts[1]}&limit=1")).json()
        assert first["keys"] == whole[:1]
        after = f"/totals/keys?account={grown.accounts[1]}&after={first['next']}"
        assert (await desk.get(after)).json()["keys"] == whole[1:]

    at_desk(servers, check)


def test_totals_say_how_far_they_are_known(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        await desk.key(account_id)
        position = (await desk.credit(account_id, "1")).json()["position"]
        for path in ("/totals/accounts?", f"/totals/keys?account={account_id}&"):
            assert (await desk.get(path)).json()["position"] == 0
            behind = await desk.get(f"{path}at_least={position}")
            assert (behind.status_code, behind.json()["code"]) == (503, "not_caught_up")
        await fold(servers)
        answer = (await desk.get(f"/totals/accounts?at_least={position}")).json()
        assert [each["credited"] for each in answer["accounts"]] == ["1"]
        (key,) = (await desk.get(f"/totals/keys?account={account_id}")).json()["keys"]
        assert (key["name"], key["requests"], key["last_used_at"]) == ("k", 0, None)
        assert (await desk.get(f"/totals/keys?account={entity_id()}")).status_code == 404
        assert (await desk.get("/totals/keys")).status_code == 422

    at_desk(servers, check)


def test_r3_a_word_means_the_same_in_totals_usage_profit_and_statement(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        grown = grow(servers)
        await fold(servers)
        days = {"from": "1970-01-01", "to": "9998-12-30"}
        for account in map(str, grown.accounts):
            totals = (await desk.get("/totals/accounts?limit=1000")).json()["accounts"]
            (total,) = [each for each in totals if each["id"] == account]
            asked = {**days, "account": account, "per": "total"}
            (usage,) = (await desk.get("/usage", params=asked)).json()["lines"]
            keys = (await desk.get(f"/totals/keys?account={account}")).json()["keys"]
            lines = (await desk.get("/ledger/profit", params={**days, "by": "account"})).json()
            (profit,) = [each for each in lines["lines"] if each["name"] == account]
            statement = (await desk.get(f"/accounts/{account}/statement")).json()["totals"]
            charged = {each["charged"] for each in (total, usage, profit, statement)}
            assert charged == {total["charged"]}
            counts = {total["requests"], usage["requests"], profit["calls"]}
            assert counts == {sum(each["requests"] for each in keys)}
            assert {total["refunds"], usage["refunds"]} == {sum(each["refunds"] for each in keys)}
            assert usage["adjusted"] == profit["adjusted"]
            assert usage["spent"] == profit["revenue"]
            assert nanos(usage["spent"]) == sum(nanos(each["spent"]) for each in keys)
            assert total["adjusted"] == statement["adjusted"]

    at_desk(servers, check)
