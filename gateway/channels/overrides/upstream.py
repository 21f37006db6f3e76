"""The way out of a channel that has headers of its own."""

from collections.abc import Mapping

from msgspec.structs import replace

from gateway.http.upstream import Upstream, UpstreamAnswer, UpstreamRequest


class WithHeaders:
    """Puts them in the place of what a provider's own words say."""

    def __init__(self, upstream: Upstream, headers: Mapping[str, str]) -> None:
        self.idle_s = upstream.idle_s
        self._upstream = upstream
        self._headers = headers

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        """Raises as the upstream does."""
        if not request.is_aside:
            kept = {
                name: value
                for name, value in request.headers.items()
                if name.lower() not in self._headers
            }
            request = replace(request, headers={**kept, **self._headers})
        return await self._upstream.send(request)
