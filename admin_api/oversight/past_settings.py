"""What a setting was when something happened."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection

from admin_api.settings.operations import SETTINGS
from ledger.store.reader import Recorded, read_stream
from ledger.streams.setting import SettingChanged, setting_stream_id


@dataclass(frozen=True, slots=True)
class PastSetting:
    """What a setting ever was."""

    default: str
    changes: Sequence[Recorded]

    def at(self, position: int) -> str:
        """What it was for an event at a position."""
        before = bisect_left([one.position for one in self.changes], position)
        if not before:
            return self.default
        event = self.changes[before - 1].event
        assert isinstance(event, SettingChanged)
        return event.value

    def values(self) -> list[str]:
        """Everything it ever was."""
        return [self.default, *(self.at(one.position + 1) for one in self.changes)]


async def read_past_setting(connection: AsyncConnection[Any], name: str) -> PastSetting:
    """The history of a setting."""
    changes = await read_stream(connection, setting_stream_id(name))
    return PastSetting(SETTINGS[name].default, changes)
