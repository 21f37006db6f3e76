"""A provider that answers each key with a script of its own, and models reached by such keys."""

import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from gateway.channels.cooling import Cooling
from gateway.channels.keys import ChannelKeys
from ledger.streams import channel
from ledger.streams.channel import ChannelKeyStateChanged
from ledger.streams.routes import KeyChoice, Way
from tests.calling import Answer
from tests.fake_provider import FakeProvider, Script

if TYPE_CHECKING:
    from tests.faults.conftest import Stage

numbers = itertools.count()


@dataclass
class KeyedProvider(FakeProvider):
    """Of OpenAI's kind."""

    of_key: dict[str, Script] = field(default_factory=dict)

    def named(self, path: str, body: bytes) -> Script:  # noqa: ARG002 - the key alone counts
        return self.of_key[self.received[-1].headers["authorization"].removeprefix("Bearer ")]

    def asked(self, keys: list[str]) -> list[int]:
        """How often each key was asked with."""
        sent = [one.headers["authorization"].removeprefix("Bearer ") for one in self.received]
        return [sent.count(key) for key in keys]


class Keys:
    """A model with four keys: of one channel, or of four; a priority each, or in order."""

    def __init__(
        self,
        stage: "Stage",
        vendor: KeyedProvider,
        scripts: list[Script],
        *,
        one_channel: bool = True,
        key_choice: KeyChoice = "in_order",
        base_url: str = "",
        way: Way | None = None,
    ) -> None:
        self.stage, self.vendor = stage, vendor
        number = next(numbers)
        self.model = f"keys-{number}"
        self.keys = [f"key-{number}-{index}" for index in range(len(scripts))]
        vendor.of_key.update(zip(self.keys, scripts, strict=True))
        groups = [self.keys] if one_channel else [[key] for key in self.keys]
        self.channels = [
            stage.books.channel(
                [self.model],
                type_="openai",
                base_url=base_url or vendor.base_url(),
                keys=keys,
                key_choice=key_choice,
                priority=-index,
                way=way,
            )
            for index, keys in enumerate(groups)
        ]
        stage.books.price(self.model, input=1, output=2)

    def command(self, command: object) -> None:
        self.stage.books.command(channel.STREAM, self.channels[0], command, seen=True)

    def ask(self) -> Answer:
        return self.stage.client.chat(self.model)

    def asked(self) -> list[int]:
        return self.vendor.asked(self.keys)

    @property
    def key_ids(self) -> list[UUID]:
        held = self.stage.gateway.core.configuration.held.channels
        return [key for channel in self.channels for key in held[channel].route.key_ids]

    def resting(self) -> list[str]:
        """Why each key is left alone; empty: it is not."""
        return ["".join(one.reason for one in found) for found in self.against()]

    def against(self) -> list[list[Cooling]]:
        """What is held against each key."""
        keys: ChannelKeys = self.stage.gateway.front.keys
        return [keys.cooling.against(key, self.model) for key in self.key_ids]

    def cooled(self) -> list[bool]:
        """Of each key whether it rests no more."""
        now_s = time.monotonic()
        return [all(one.until_s <= now_s for one in found) for found in self.against()]

    def events(self) -> list[tuple[str, str]]:
        """State and reason of every change of a key that is on record."""
        return [
            (one.event.state, one.event.reason)
            for one in self.stage.books.log()
            if one.stream_id in self.channels and isinstance(one.event, ChannelKeyStateChanged)
        ]
