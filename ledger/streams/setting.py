"""A setting of the whole installation: one stream per name, so that its history can be asked."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from ledger.ids import derived_id
from ledger.streams.contract import Event, Stream


class SettingChanged(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A setting has a new value; what the text means is the setting's own affair."""

    TOPIC: ClassVar[str] = "setting.SettingChanged.v1"

    name: str
    value: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ChangeSetting:
    """Change a setting."""

    name: str
    value: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """The fold of one setting's stream."""

    version: int = 0
    value: str = ""


def setting_stream_id(name: str) -> UUID:
    """The stream of one setting."""
    return derived_id("setting", name)


def decide(state: Setting, command: ChangeSetting) -> tuple[Event, ...]:
    """The new value; nothing where it is the same."""
    if state.version and state.value == command.value:
        return ()
    return (
        SettingChanged(
            name=command.name, value=command.value, actor=command.actor, reason=command.reason
        ),
    )


def evolve(state: Setting, event: SettingChanged) -> Setting:
    """The state after an event."""
    return Setting(state.version + 1, event.value)


STREAM = Stream(
    name="setting",
    events=(SettingChanged,),
    initial=Setting,
    decide=decide,
    evolve=evolve,
    is_configuration=True,
)
