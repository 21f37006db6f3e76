"""The anomalies that are alarms have the names under which the gateway tells them."""

from gateway.call import delivery
from gateway.call.metering import meter, provider_costs
from gateway.formats.shared import usage_table
from ledger.alarms import KINDS
from ledger.streams.charge.events import UsageSettled


def test_every_doubt_that_is_an_alarm_is_an_anomaly_of_the_gateways() -> None:
    told = {
        value
        for module in (delivery, meter, provider_costs, usage_table)
        for name, value in vars(module).items()
        if name.isupper() and type(value) is str
    }
    others = {"cost_beyond_hold", "paid_without_charge"}
    doubts = {kind.name for kind in KINDS if UsageSettled in kind.events} - others
    assert len(doubts) == 8
    assert doubts <= told
