"""Settings of the whole installation, as they are now."""

from datetime import datetime

from ledger.store.reader import Recorded
from ledger.streams.setting import SettingChanged
from projections.contract import Key, Projection, Row, Table, one_by_one


class SettingRow(Row, frozen=True):
    """One setting."""

    name: str
    value: str
    actor: str
    changed_at: datetime
    version: int
    position: int


def touches(event: Recorded) -> tuple[Key, ...]:
    """The setting."""
    return ((event.event.name,),)  # type: ignore[attr-defined]  # only SettingChanged


def apply(key: Key, row: SettingRow | None, event: Recorded) -> SettingRow | None:  # noqa: ARG001
    """The latest value counts."""
    setting = event.event
    if not isinstance(setting, SettingChanged):
        return row
    return SettingRow(
        setting.name,
        setting.value,
        setting.actor,
        event.recorded_at,
        event.version,
        event.position,
    )


TABLE = Table(
    name="settings",
    row=SettingRow,
    key=("name",),
    events=(SettingChanged,),
    touches=touches,
    fold=one_by_one(apply),
)
PROJECTION = Projection(name="settings", version=1, tables=(TABLE,))
