"""What a fresh ledger begins with: the root operator, and the time zone of the book's days."""

import structlog

from admin_api.desk import Desk
from admin_api.operators import operations as operators
from ledger.book_days import TIME_ZONE_SETTING
from ledger.streams import setting
from ledger.streams.setting import ChangeSetting, Setting
from tollgate.settings import Settings

ACTOR = "installation"

log = structlog.get_logger()


async def seed(desk: Desk, settings: Settings) -> str | None:
    """Make what is missing of it.

    Returns the root operator's token if it was minted here, to be shown once; None if one was
    set, or there is one already. Raises StoreUnavailable, psycopg.OperationalError.
    """
    zone_id = setting.setting_stream_id(TIME_ZONE_SETTING)
    zone: Setting = await desk.ledger.state(setting.STREAM, zone_id)
    if zone.version == 0:
        change = ChangeSetting(TIME_ZONE_SETTING, settings.time_zone or "UTC", ACTOR)
        await desk.ledger.handle(setting.STREAM, zone_id, change)
    elif settings.time_zone not in (None, zone.value):
        log.warning(
            "settings.time_zone_has_no_effect",
            given=settings.time_zone,
            book=zone.value,
            remedy=f"tollgate setting set {TIME_ZONE_SETTING} {settings.time_zone}",
        )
    given = settings.initial_root_access_token
    token = await operators.open_root(desk, given, actor=ACTOR)
    return token if given is None else None
