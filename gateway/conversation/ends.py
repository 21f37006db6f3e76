"""Why an answer ended, as vendors say it: with a word that is known, one that means that the model
or its vendor failed, or one that nobody here knows.
"""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass

from gateway.conversation.turn import StopReason
from gateway.errors import AnswerFailed

_ODD = re.compile(r"[^\w.: -]+")
_WORD_MAX_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Ends:
    """The words of a format, in small letters."""

    known: Mapping[str, StopReason]
    failed: Set[str] = frozenset()

    def read(self, told: object, has_calls: bool) -> tuple[StopReason, str]:
        """Why an answer ended, and the vendor's own word where that says no more than `other`.
        Where nothing is said, or no more than that it ended, its calls of tools say it.

        Raises AnswerFailed.
        """
        word = told_word(told)
        stop = self.known.get(word, "other") if word else "stop"
        if word in self.failed:
            raise AnswerFailed(f"The provider ended its answer with {word!r}.")
        if stop == "stop" and has_calls:
            return "tool_calls", ""
        return stop, word if stop == "other" else ""


def told_word(told: object) -> str:
    """A vendor's word, in small letters and bounded; empty where there is none."""
    return _ODD.sub("_", str(told).lower())[:_WORD_MAX_CHARACTERS] if told else ""


def word_for(words: Mapping[StopReason, str], stop: StopReason, told: str) -> str:
    """A reason in a format's words. `other` has none: there the vendor's own word is told."""
    return words.get(stop) or told or "other"
