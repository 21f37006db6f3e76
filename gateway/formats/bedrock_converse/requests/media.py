"""Media as this format names it: not by MIME types but by formats of its own.

Source: ImageBlock, DocumentBlock, VideoBlock and AudioBlock of
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
"""

import re

from gateway.conversation.parts import Media, MediaKind

_OFFICE = "application/vnd.openxmlformats-officedocument"
_FORMATS: dict[MediaKind, dict[str, str]] = {
    "image": {
        "image/png": "png",
        "image/jpeg": "jpeg",
        "image/jpg": "jpeg",
        "image/gif": "gif",
        "image/webp": "webp",
    },
    "document": {
        "application/pdf": "pdf",
        "application/msword": "doc",
        f"{_OFFICE}.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        f"{_OFFICE}.spreadsheetml.sheet": "xlsx",
        "application/json": "txt",
        "text/csv": "csv",
        "text/html": "html",
        "text/markdown": "md",
        "text/plain": "txt",
    },
    "video": {
        "video/mp4": "mp4",
        "video/quicktime": "mov",
        "video/x-matroska": "mkv",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/mpeg": "mpeg",
        "video/x-ms-wmv": "wmv",
        "video/3gpp": "three_gp",
    },
    "audio": {
        "audio/mpeg": "mp3",
        "audio/mp3": "mp3",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/aac": "aac",
        "audio/flac": "flac",
        "audio/ogg": "ogg",
        "audio/opus": "opus",
        "audio/mp4": "mp4",
        "audio/x-m4a": "m4a",
        "audio/webm": "webm",
    },
}
_DOCUMENT_ENDINGS = frozenset({"pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"})
# The first bytes of each kind, in base64.
_BEGINNINGS = {
    "iVBORw0KGgo": "png",
    "/9j/": "jpeg",
    "R0lGOD": "gif",
    "UklGR": "webp",
    "JVBERi0": "pdf",
}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\s()\[\]-]")
_SPACES = re.compile(r"\s+")
_NAME_MAX_CHARACTERS = 200
_NUMBER_MAX_CHARACTERS = 8
_UNNAMED = "document"


def format_of(media: Media, media_type: str, data: str) -> str:
    """The format's word for what these bytes are, empty where it has none.

    `media_type` may be empty or wrong by a parameter; then a document's title and the first bytes
    tell.
    """
    plain = media_type.partition(";")[0].strip().lower()
    told = _FORMATS[media.kind].get(plain, "")
    if told:
        return told
    seen = next((word for start, word in _BEGINNINGS.items() if data.startswith(start)), "")
    if seen and (seen == "pdf") == (media.kind == "document"):
        return seen if media.kind in ("image", "document") else ""
    if media.kind != "document":
        return ""
    ending = media.title.rpartition(".")[2].lower() if "." in media.title else ""
    if ending in _DOCUMENT_ENDINGS:
        return ending
    return "txt" if plain.startswith("text/") else ""


class DocumentNames:
    """Names of a request's documents: the format demands one for each, of few characters."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def of(self, title: str) -> str:
        """A name that no other document has, made from its title."""
        plain = _SPACES.sub(" ", _NOT_IN_NAMES.sub(" ", title)).strip() or _UNNAMED
        plain = plain[: _NAME_MAX_CHARACTERS - _NUMBER_MAX_CHARACTERS].strip()
        count = self._given.get(plain.lower(), 0) + 1
        self._given[plain.lower()] = count
        return plain if count == 1 else self.of(f"{plain} {count}")
