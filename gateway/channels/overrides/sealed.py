"""The overrides of channels, unsealed and read once."""

import contextlib
from uuid import UUID

import structlog

from gateway.channels.overrides.reading import Overrides, read_overrides
from gateway.channels.system_prompts import ChannelTexts
from gateway.errors import ChannelUnusable, UpstreamFailed
from ledger.streams import routes

log = structlog.get_logger()

_NONE = Overrides()
_NO_TEXTS = (None, None)
_KNOWN_MAX = 10_000


class ChannelOverrides:
    """Of all channels; what is told of them never changes under its ids."""

    def __init__(self, texts: ChannelTexts) -> None:
        self._texts = texts
        self._known: dict[tuple[UUID | None, UUID | None], Overrides] = {}

    async def of(self, told: routes.Overrides) -> Overrides:
        """Raises ChannelUnusable: without them a call would mean something else."""
        text_ids = (told.parameters_id, told.headers_id)
        if text_ids == _NO_TEXTS:
            return _NONE
        known = self._known.get(text_ids)
        if known is not None:
            return known
        parameters, headers = [
            "" if text_id is None else await self._texts.text(text_id) for text_id in text_ids
        ]
        try:
            found = read_overrides(parameters, headers)
        except ValueError as error:
            log.error("channel.overrides_unreadable", error=str(error))
            raise ChannelUnusable("a channel's overrides cannot be read") from error
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[text_ids] = found
        return found

    async def words(self, told: routes.Overrides) -> str:
        """What they may add to a call; nothing where they cannot be read now, which keeps their
        channel from answering.
        """
        with contextlib.suppress(UpstreamFailed):
            return (await self.of(told)).words
        return ""
