"""The list of projections: the only place that names them all."""

from collections.abc import Sequence

from projections.contract import Projection
from projections.views import (
    accounts,
    adjustments,
    alarms,
    audit_trail,
    balance_blocks,
    channels,
    groups,
    journal_blocks,
    keys,
    open_charges,
    prices,
    profit_quarter_hours,
    request_log,
    settings,
    upstream_daily,
    usage_quarter_hours,
    users,
)

PROJECTIONS: tuple[Projection, ...] = (
    accounts.PROJECTION,
    adjustments.PROJECTION,
    alarms.PROJECTION,
    audit_trail.PROJECTION,
    balance_blocks.PROJECTION,
    channels.PROJECTION,
    groups.PROJECTION,
    journal_blocks.PROJECTION,
    keys.PROJECTION,
    open_charges.PROJECTION,
    prices.PROJECTION,
    profit_quarter_hours.PROJECTION,
    request_log.PROJECTION,
    settings.PROJECTION,
    upstream_daily.PROJECTION,
    usage_quarter_hours.PROJECTION,
    users.PROJECTION,
)


def chosen(names: Sequence[str]) -> list[Projection]:
    """The projections of these names, all for none. Raises KeyError for a name that is unknown."""
    known = {projection.name: projection for projection in PROJECTIONS}
    return [known[name] for name in names] or list(PROJECTIONS)
