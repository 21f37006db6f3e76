"""Settings: what there are, what they mean, and what they are now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zoneinfo import available_timezones

from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from ledger.book_days import TIME_ZONE_SETTING
from ledger.errors import NotFound
from ledger.streams import setting
from ledger.streams.setting import ChangeSetting


@dataclass(frozen=True, slots=True)
class Known:
    """A setting that there is. `check` raises InvalidInput for a text that is no value of it."""

    about: str
    default: str
    check: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class SettingView:
    """A setting as it is now; `version` 0: nobody ever set it."""

    name: str
    about: str
    value: str
    version: int


def _time_zone(value: str) -> None:
    if value not in available_timezones():
        raise InvalidInput("value", "must be the name of a time zone, such as Europe/Paris")


SETTINGS: Mapping[str, Known] = {
    TIME_ZONE_SETTING: Known(
        "the time zone of days and spending windows; a change counts from the next quarter of an "
        "hour, and no day that has begun is opened twice",
        "UTC",
        _time_zone,
    ),
}
"""Every setting there is: a new one is a row here."""


async def list_settings(desk: Desk) -> list[SettingView]:
    """Every setting. Raises NotCaughtUp."""
    await desk.up_to_date()
    held = desk.configuration.held.settings
    return [_view(name, held.get(name)) for name in sorted(SETTINGS)]


async def change_setting(
    desk: Desk, name: str, *, value: str, actor: str, reason: str = ""
) -> SettingView:
    """Set it; as it is then. Raises NotFound, InvalidInput, StoreUnavailable."""
    known = SETTINGS.get(name)
    if known is None:
        raise NotFound(f"no such setting; there are {', '.join(sorted(SETTINGS))}")
    known.check(value)
    stream_id = setting.setting_stream_id(name)
    await desk.handle(setting.STREAM, stream_id, ChangeSetting(name, value, actor, reason))
    return _view(name, await desk.state(setting.STREAM, stream_id))


def _view(name: str, state: setting.Setting | None) -> SettingView:
    known = SETTINGS[name]
    if state is None or not state.version:
        return SettingView(name, known.about, known.default, 0)
    return SettingView(name, known.about, state.value, state.version)
