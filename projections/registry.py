"""The list of projections: the only place that names them all."""

from projections.contract import Projection
from projections.views import (
    accounts,
    audit_trail,
    channels,
    groups,
    keys,
    open_charges,
    prices,
    request_log,
    settings,
    usage_hourly,
    users,
)

PROJECTIONS: tuple[Projection, ...] = (
    accounts.PROJECTION,
    audit_trail.PROJECTION,
    channels.PROJECTION,
    groups.PROJECTION,
    keys.PROJECTION,
    open_charges.PROJECTION,
    prices.PROJECTION,
    request_log.PROJECTION,
    settings.PROJECTION,
    usage_hourly.PROJECTION,
    users.PROJECTION,
)
