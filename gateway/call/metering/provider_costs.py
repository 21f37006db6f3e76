"""What providers take: for the answers that are charged, and for tries that are charged to nobody.

By the book of costs in force when it becomes known what was used.
"""

from collections.abc import Callable
from uuid import UUID

from msgspec.structs import replace

from gateway.call.metering.meter import used_by_failure
from gateway.call.opened import Opened, elapsed_ms
from gateway.channels.routing import Candidate
from gateway.errors import GatewayError, UpstreamFailed, UpstreamRefused, UpstreamTimeout
from ledger import clock
from ledger.pricing import STANDARD, cost_nanos
from ledger.streams.charge.events import Attempt, Cost
from ledger.streams.price import PriceSet
from ledger.usage import Usage

CostPrice = Callable[[UUID, str, int], tuple[int, PriceSet] | None]
"""As `Configuration.cost_price`."""

UNPRICED_COST = "unpriced_cost_service"
"""Anomaly: the service that answered has no price in the book of costs."""


class ProviderCosts:
    """Costs by the configuration as it is at each moment."""

    def __init__(self, cost_price: CostPrice) -> None:
        self._cost_price = cost_price

    def of(
        self, channel_id: UUID, upstream_model: str, usage: Usage, service: str
    ) -> tuple[Cost | None, str]:
        """What the provider takes by the book in force now, where there is one; and whether that
        book does not know the service.
        """
        found = self._cost_price(channel_id, upstream_model, clock.now_us())
        if found is None:
            return None, ""
        version, event = found
        is_known = service == STANDARD or service in event.price.services
        amount_nanos = cost_nanos(usage, event.price, service)
        cost = Cost(book=event.book, price_version=version, amount_nanos=amount_nanos)
        return cost, "" if is_known else UNPRICED_COST

    def failed(
        self,
        candidate: Candidate,
        failure: GatewayError,
        started_s: float,
        opened: Opened | None,
        service: str,
    ) -> Attempt:
        """A try that failed. `service`: the one that was asked for."""
        if isinstance(failure, UpstreamRefused):
            outcome = "refused"
        elif isinstance(failure, UpstreamTimeout):
            outcome = "timeout"
        else:
            outcome = "failed"
        status = failure.upstream_status if isinstance(failure, UpstreamFailed) else 0
        return self._tried(candidate, outcome, status, started_s, opened, service)

    def unsold(
        self, candidate: Candidate, started_s: float, opened: Opened, estimated: Usage
    ) -> Attempt:
        """An answer that was asked for by nobody who pays. `estimated`: what it used, where its
        provider does not say.
        """
        status = opened.upstream.status
        tried = self._tried(candidate, "answered", status, started_s, opened, STANDARD)
        if tried.usage is not None:
            return tried
        model = opened.upstream_model
        cost, anomaly = self.of(candidate.channel_id, model, estimated, STANDARD)
        return replace(
            tried,
            usage=estimated,
            basis="estimated",
            upstream_model=model,
            cost=cost,
            anomaly=anomaly,
        )

    def cut_short(
        self, candidate: Candidate, started_s: float, opened: Opened | None, service: str
    ) -> Attempt:
        """A try that was ended by us."""
        return self._tried(candidate, "cut", 0, started_s, opened, service)

    def _tried(
        self,
        candidate: Candidate,
        outcome: str,
        status: int,
        started_s: float,
        opened: Opened | None,
        service: str,
    ) -> Attempt:
        channel_id, duration_ms = candidate.channel_id, elapsed_ms(started_s)
        used = None if opened is None else used_by_failure(opened)
        if opened is None or used is None:
            return Attempt(
                channel_id=channel_id, outcome=outcome, status=status, duration_ms=duration_ms
            )
        answered = service if used.service is None else used.service
        cost, anomaly = self.of(channel_id, opened.upstream_model, used.usage, answered)
        if anomaly or cost is None:
            answered = STANDARD  # what it was priced as; a provider's own word may be anything
        return Attempt(
            channel_id=channel_id,
            outcome=outcome,
            status=status,
            duration_ms=duration_ms,
            usage=used.usage,
            upstream_model=opened.upstream_model,
            service=None if answered == service else answered,
            cost=cost,
            anomaly=",".join(filter(None, (used.anomaly, anomaly))),
        )
