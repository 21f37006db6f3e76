"""How each channel's provider is reached: its proxy, whom it believes, how long it waits."""

from uuid import UUID

import structlog

from gateway.channels.system_prompts import ChannelTexts
from gateway.errors import ChannelUnusable
from gateway.http.upstream import Upstream, Upstreams, Way
from ledger.streams import routes

log = structlog.get_logger()


class ChannelWays:
    """Gives each channel its Upstream. Nothing ever leaves by another way than the channel's own:
    where its proxy cannot be told, it is not asked.
    """

    def __init__(self, upstreams: Upstreams, texts: ChannelTexts) -> None:
        self._upstreams = upstreams
        self._texts = texts
        self._known: dict[UUID, tuple[routes.Way, Upstream]] = {}

    async def upstream(self, channel_id: UUID, told: routes.Way) -> Upstream:
        """Raises ChannelUnusable."""
        known = self._known.get(channel_id)
        if known is not None and known[0] == told:
            return known[1]
        proxy = told.proxy
        if told.proxy_id is not None:
            proxy = await self._texts.text(told.proxy_id)
        way = Way(
            proxy,
            told.roots,
            told.connect_ms / 1000 or None,
            told.first_byte_ms / 1000 or None,
            told.idle_ms / 1000 or None,
        )
        try:
            upstream = self._upstreams.of(channel_id, way)
        except (ValueError, OSError) as error:  # an SSLError is one
            log.error("channel.no_way", channel_id=str(channel_id))
            raise ChannelUnusable("a channel's proxy or certificates cannot be used") from error
        self._known[channel_id] = (told, upstream)
        return upstream
