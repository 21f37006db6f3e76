"""Where vendors that speak OpenAI's chat or legacy completions put what was used.

One table for whole answers and for the events of a stream: most put it where OpenAI does, in an
event of its own or in one with choices; some put it there in every event, and the last one counts.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class UsagePlace(NamedTuple):
    """The members that lead to a usage; of a list, the last that tells. `holds`: the member without
    which it is none.
    """

    members: tuple[str, ...]
    source: str
    holds: str = ""


PLACES = (
    UsagePlace(("usage",), "https://platform.openai.com/docs/api-reference/chat-streaming"),
    UsagePlace(("x_groq", "usage"), "https://console.groq.com/docs/api-reference#chat-create"),
    UsagePlace(("choices", "usage"), "https://platform.moonshot.ai/docs/api/chat"),
    UsagePlace(("meta",), "https://docs.cohere.com/v1/reference/chat", holds="billed_units"),
)
"""The most trusted first. In OpenAI's own place, with words of their own: Cohere's `billed_units`
(https://docs.cohere.com/reference/chat), Perplexity's `citation_tokens`
(https://docs.perplexity.ai/getting-started/pricing), OpenRouter's `cost`
(https://openrouter.ai/docs/use-cases/usage-accounting), DeepSeek's `prompt_cache_hit_tokens`.
"""


def usage_in(document: Mapping[str, Any]) -> object:
    """What an answer, or an event, tells of usage; None where it tells nothing."""
    own = document.get("usage")
    if type(own) is dict and own:  # nearly always, and nobody is trusted more
        return own
    told = [
        value
        for place in PLACES
        for value in _at(document, place.members)
        if not place.holds or (type(value) is dict and value.get(place.holds) is not None)
    ]
    useful = (value for value in told if type(value) is dict and value)
    return next(useful, told[0] if told else None)


def _at(holder: object, members: tuple[str, ...]) -> Iterator[object]:
    if type(holder) is list:
        found = [value for each in holder for value in _at(each, members)]
        yield from found[-1:]
    elif not members:
        if holder is not None:
            yield holder
    elif type(holder) is dict:
        yield from _at(holder.get(members[0]), members[1:])
