"""Fetches the media of one request that its provider takes as bytes alone, before it is asked."""

import asyncio
import base64
from urllib.parse import urlsplit

from gateway.conversation.parts import Address, Inline, Media
from gateway.errors import MediaUnavailable
from gateway.media.egress import Egress, Fetched
from gateway.media.image_sizes import image_kind

MEDIA_MAX = 16
"""Of one request."""

_ADDRESS_SHOWN_MAX = 200
_UNSAID = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_DOCUMENTS = ("application/", "text/")
_NO_DOCUMENT = frozenset({"text/html", "application/xhtml+xml"})
"""What a web server says instead of a document that is not there."""


class MediaFetch:
    """The media of one request: each address is asked at most once, whoever needs it."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress
        self._budget = egress.budget()
        self._refused: MediaUnavailable | None = None
        self.fetched: dict[str, Inline] = {}
        """What is here, by address."""

    async def get(self, media: tuple[Media, ...]) -> None:
        """Fetch these. Raises MediaUnavailable for the first that cannot be had."""
        if self._refused is not None:
            raise self._refused
        if len(media) + len(self.fetched) > MEDIA_MAX:
            raise MediaUnavailable(
                f"More than {MEDIA_MAX} media by address are not fetched for this model; "
                "send them as bytes."
            )
        try:
            async with asyncio.TaskGroup() as group:
                for each in media:
                    group.create_task(self._get(each))
        except* MediaUnavailable as several:
            self._refused = _first(several)
        if self._refused is not None:
            raise self._refused

    async def _get(self, media: Media) -> None:
        assert isinstance(media.source, Address)
        url = media.source.url
        try:
            found = await self._egress.fetch(url, self._budget)
            media_type = _media_type(media, found)
        except MediaUnavailable as reason:
            what = f"The {media.kind} at {_shown(url)} {reason.message}"
            raise MediaUnavailable(f"{what}; send its bytes instead.") from reason
        data = base64.b64encode(found.content).decode("ascii")
        self.fetched[url] = Inline(media_type=media_type, data=data)


def _media_type(media: Media, found: Fetched) -> str:
    """What came, if it is what the part says it is. Raises MediaUnavailable."""
    told = found.media_type
    if not found.content:
        raise MediaUnavailable("is empty")
    if media.kind == "image":
        # Servers often mistake one kind of image for another; the first bytes do not.
        seen = image_kind(found.content)
        if seen is not None and (told in _UNSAID or told.startswith("image/")):
            return seen
    if told in _UNSAID and found.content.startswith(b"%PDF-") and media.kind == "document":
        return "application/pdf"
    kinds = _DOCUMENTS if media.kind == "document" else (f"{media.kind}/",)
    if told in _UNSAID or told in _NO_DOCUMENT or not told.startswith(kinds):
        raise MediaUnavailable(f"is said to be {told[:60]!r} where it lies")
    return told


def _shown(url: str) -> str:
    """An address without its query, which may hold a signature."""
    try:
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
    except ValueError:
        shown = url.partition("?")[0]
    return repr(shown[:_ADDRESS_SHOWN_MAX])


def _first(several: BaseExceptionGroup[MediaUnavailable]) -> MediaUnavailable:
    found: BaseException = several
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, MediaUnavailable)
    return found
