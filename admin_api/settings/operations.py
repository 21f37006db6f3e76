"""Settings: what there are, what they mean, and what they are now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from zoneinfo import available_timezones

from admin_api.desk import Desk
from admin_api.errors import InvalidInput
from ledger.book_days import TIME_ZONE_SETTING
from ledger.errors import InvalidAmount, NotFound
from ledger.money import parse_usd
from ledger.streams import setting
from ledger.streams.setting import ChangeSetting
from projections.configuration import (
    ATTEMPTS_SETTING,
    ATTEMPTS_WITHIN_SETTING,
    SHRINKS_HOLDS_SETTING,
)

ALONE_UP_TO_SETTING = "credits.alone_up_to"
"""USD: what one operator credits one account with alone in a day of the books; more is a proposal,
which another operator approves."""

ONE_OPERATOR_SETTING = "approvals.one_operator"
"""Whether this is a house of one operator, where nobody else can approve anything."""

YES, NO = "yes", "no"


@dataclass(frozen=True, slots=True)
class Known:
    """A setting that there is. `check` raises InvalidInput for a text that is no value of it.

    `needs_reason`: a change is told with its reason, for it lets one person do what took two.
    """

    about: str
    default: str
    check: Callable[[str], None]
    needs_reason: bool = False


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


def _yes_or_no(value: str) -> None:
    if value not in (YES, NO):
        raise InvalidInput("value", f"must be {YES} or {NO}")


def _number(most: int) -> Callable[[str], None]:
    def check(value: str) -> None:
        is_number = value.isascii() and value.isdigit() and len(value) <= len(str(most))
        if not is_number or not 1 <= int(value) <= most:
            raise InvalidInput("value", f"must be a whole number from 1 to {most}")

    return check


def _amount(value: str) -> None:
    try:
        parse_usd(value)
    except InvalidAmount as refusal:
        raise InvalidInput("value", "must be an amount in USD, such as 250 or 99.50") from refusal


SETTINGS: Mapping[str, Known] = {
    ATTEMPTS_SETTING: Known(
        "how often one call is sent to providers at most, before its first byte; every channel "
        "gets its turn, and more keys of one are asked while attempts are left for the others",
        "16",
        _number(100),
    ),
    ATTEMPTS_WITHIN_SETTING: Known(
        "for how many seconds after its beginning a call may be sent to another channel or key; a "
        "provider that says nothing is given two minutes",
        "180",
        _number(3_600),
    ),
    ALONE_UP_TO_SETTING: Known(
        "USD: one operator alone credits an account with up to this in a day; more is a proposal, "
        "which another approves",
        "100",
        _amount,
        needs_reason=True,
    ),
    SHRINKS_HOLDS_SETTING: Known(
        "yes or no: whether a call that sets no limit, and whose account cannot pay for the usual "
        "one, is sent with the limit that half of what is there pays for",
        YES,
        _yes_or_no,
    ),
    ONE_OPERATOR_SETTING: Known(
        "yes or no: whether nobody else is there to approve; then large credits pass at once, an "
        "approver may be new, and `tollgate ledger oversight` names each",
        NO,
        _yes_or_no,
        needs_reason=True,
    ),
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
    if known.needs_reason and not reason:
        raise InvalidInput("reason", "is needed for this setting: a code, such as one_operator")
    stream_id = setting.setting_stream_id(name)
    await desk.handle(setting.STREAM, stream_id, ChangeSetting(name, value, actor, reason))
    return _view(name, await desk.state(setting.STREAM, stream_id))


async def read_setting(desk: Desk, name: str) -> str:
    """What a setting is at this moment, by its own stream."""
    state: setting.Setting = await desk.state(setting.STREAM, setting.setting_stream_id(name))
    return state.value if state.version else SETTINGS[name].default


def _view(name: str, state: setting.Setting | None) -> SettingView:
    known = SETTINGS[name]
    if state is None or not state.version:
        return SettingView(name, known.about, known.default, 0)
    return SettingView(name, known.about, state.value, state.version)
