"""What is said of the types of channels."""

from typing import Self

from admin_api.channels.types import ChannelType
from admin_api.fields.bodies import Output


class ChannelSettingOutput(Output):
    """Something a channel may have to say; `pattern` is for the whole value."""

    name: str
    description: str
    is_required: bool
    default: str
    pattern: str


class ChannelTypeOutput(Output):
    """A kind of provider. Without a `base_url` of its own, a channel must name one.

    `{name}` in an address stands for a setting, or for what a key says. `key_format`: what a key
    looks like; empty for any one word. `formats`: what it can speak, best first.
    """

    name: str
    base_url: str
    is_whole_url: bool
    needs_key: bool
    key_format: str
    formats: list[str]
    settings: list[ChannelSettingOutput]

    @classmethod
    def of(cls, name: str, kind: ChannelType) -> Self:
        """As it is told."""
        return cls(
            name=name,
            base_url=kind.base_url,
            is_whole_url=kind.is_whole_url,
            needs_key=kind.needs_key,
            key_format=kind.key_format,
            formats=list(kind.formats),
            settings=[
                ChannelSettingOutput(
                    name=one.name,
                    description=one.description,
                    is_required=one.is_required,
                    default=one.default,
                    pattern=one.pattern,
                )
                for one in kind.settings
            ],
        )


class ChannelTypeList(Output):
    """Every kind, by name."""

    channel_types: list[ChannelTypeOutput]
