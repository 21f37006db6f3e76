"""R1: what was written down about credits, adjustments and prices is in the audit trail."""

from uuid import UUID

from ledger import vault
from tests.admin_api.desks import OpenDesk, Servers, at_desk
from tests.admin_api.grown import fold


async def words(desk: OpenDesk, **asked: str) -> dict[str, str | None]:
    """By type, of the newest act of each."""
    acts = (await desk.get("/audit", params={**asked, "limit": 1000})).json()["acts"]
    return {act["type"]: act["words"] for act in reversed(acts)}


def test_r1_reasons_of_the_vault_are_in_the_audit_trail(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        body = {"amount": "5", "reason": "Invoice 17, paid by Größe & Co"}
        assert (await desk.post(f"/accounts/{account}/credits", json=body)).status_code == 201
        price = {"input": "1", "output": "2", "reason": "the vendor's list of May"}
        assert (await desk.put("/prices/m", json=price)).status_code == 200
        new = {"account": account, "amount": "1", "direction": "credit", "code": "goodwill"}
        proposed = await desk.post("/adjustments", json={**new, "reason": "a week of outages"})
        no = {"reason": "not agreed with finance"}
        path = f"/adjustments/{proposed.json()['id']}/reject"
        assert (await desk.post(path, json=no)).status_code == 200
        await fold(servers)
        told = await words(desk)
        assert told["credit.CreditGranted.v1"] == body["reason"]
        assert told["price.PriceSet.v1"] == price["reason"]
        assert told["adjustment.AdjustmentProposed.v1"] == "a week of outages"
        assert told["adjustment.AdjustmentRejected.v1"] == no["reason"]
        assert told["account.AccountOpened.v1"] is None
        auditor = await desk.operator("auditor")
        answer = await desk.get("/audit?type=credit.CreditGranted.v1", token=auditor)
        assert answer.json()["acts"][0]["words"] == body["reason"]

        async with desk.desk.pool.connection() as connection:
            assert await vault.forget(connection, UUID(account))
        told = await words(desk)
        assert told["credit.CreditGranted.v1"] is None
        assert told["adjustment.AdjustmentProposed.v1"] is None
        assert told["price.PriceSet.v1"] == price["reason"]

    at_desk(servers, check)


def test_r1_a_credit_that_two_agreed_on_has_the_words_of_its_proposal(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account = await desk.account()
        body = {"amount": "500", "reason": "a contract of 500"}
        proposed = (await desk.post(f"/accounts/{account}/credits", json=body)).json()
        second = await desk.approver()
        path = f"/adjustments/{proposed['adjustment']}/approve"
        assert (await desk.post(path, token=second)).status_code == 200
        await fold(servers)
        assert (await words(desk, account=account))["credit.CreditGranted.v1"] == body["reason"]

    at_desk(servers, check)
