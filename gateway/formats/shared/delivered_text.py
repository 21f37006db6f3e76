"""What a stream has delivered, counted only when asked and never kept without bound."""

from gateway.formats.values import CountTokens

KEPT_MAX_CHARACTERS = 64 * 1024
_LANES_MAX = 128


class DeliveredText:
    """Text by lane (choice), so that interleaved choices are counted as what they are.

    Nothing is tokenised before `count`, unless more than KEPT_MAX_CHARACTERS came: then what is
    kept becomes a number and is dropped.
    """

    def __init__(self, count_tokens: CountTokens) -> None:
        self._count_tokens = count_tokens
        self._lanes: dict[int, list[str]] = {}
        self._kept_characters = 0
        self._counted_tokens = 0

    def add(self, text: str, lane: int = 0) -> None:
        """Take one more fragment; lanes outside 0..127 (no client can ask for them) share one."""
        self._lanes.setdefault(lane if 0 <= lane < _LANES_MAX else 0, []).append(text)
        self._kept_characters += len(text)
        if self._kept_characters > KEPT_MAX_CHARACTERS:
            self._counted_tokens = self.count()
            self._lanes.clear()
            self._kept_characters = 0

    def count(self) -> int:
        """Tokens of everything added so far."""
        if not self._lanes:
            return self._counted_tokens
        kept = ["".join(fragments) for fragments in self._lanes.values()]
        return self._counted_tokens + self._count_tokens(kept)
