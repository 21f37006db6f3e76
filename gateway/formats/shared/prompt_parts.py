"""What a format gathers of a request's input: texts to count, and tokens of everything else."""

from collections.abc import Mapping

from gateway.formats.values import Prompt
from gateway.media import tokens as media_tokens
from gateway.media.image_sizes import Size
from gateway.media.tokens import MediaTokens


class PromptParts:
    """Filled while a request to `model` is read from its beginning to its end.

    What counts media answers the most that they can have, and keeps how much of it is unlikely.
    """

    def __init__(self, model: str) -> None:
        self.texts: list[str] = []
        self._model = model
        self._unlikely = 0

    def image(self, size: Size | None, most: int, detail: str = "") -> int:
        """Tokens of an image; `most` where nothing is known of it."""
        return self._media(media_tokens.image(self._model, size, detail, most))

    def audio(self, most: int) -> int:
        """Tokens of a recording."""
        return self._media(media_tokens.unseen(most, media_tokens.AUDIO_LIKELY_TOKENS))

    def video(self, most: int) -> int:
        """Tokens of a film."""
        return self._media(media_tokens.unseen(most, media_tokens.VIDEO_LIKELY_TOKENS))

    def file(self, most: int) -> int:
        """Tokens of a document that is no plain text."""
        return self._media(media_tokens.unseen(most, media_tokens.FILE_LIKELY_TOKENS))

    def prompt(self, fixed_tokens: int, tool_calls: Mapping[str, int]) -> Prompt:
        """All of it; `fixed_tokens` at the most."""
        return Prompt(tuple(self.texts), fixed_tokens, tool_calls, fixed_tokens - self._unlikely)

    def _media(self, tokens: MediaTokens) -> int:
        self._unlikely += tokens.most - tokens.likely
        return tokens.most
