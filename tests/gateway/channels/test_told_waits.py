"""C5: for how long a provider wants to be left alone, in every way in which that is said."""

import pytest

from gateway.channels.told_waits import WAIT_MAX_S, told_wait_s

NOW_S = 1_764_582_000.0
"""2025-12-01 09:40:00 UTC."""
DATE = {"date": "Mon, 01 Dec 2025 09:40:00 GMT"}

HEADERS: dict[str, tuple[dict[str, str], float | None]] = {
    "seconds": ({"retry-after": "7"}, 7),
    "a fraction of a second": ({"retry-after": "0.5"}, 0.5),
    "none": ({"retry-after": "0"}, None),
    "below none": ({"retry-after": "-5"}, None),
    "a date": ({"retry-after": "Mon, 01 Dec 2025 09:41:30 GMT"}, 90),
    "a date that is over": ({"retry-after": "Mon, 01 Dec 2025 09:39:00 GMT"}, None),
    "milliseconds go first": ({"retry-after": "3", "retry-after-ms": "1500"}, 1.5),
    "words": ({"retry-after": "soon"}, None),
    "not ASCII": ({"retry-after": "\u0667"}, None),
    "exponents": ({"retry-after": "1e3"}, None),
    "infinite": ({"retry-after": "inf"}, None),
    "a hundred characters": ({"retry-after": "1" * 100}, None),
    "a day and an hour": ({"retry-after": "90000"}, WAIT_MAX_S),
    "a year": ({"retry-after": "31536000"}, None),
    "a year, by a date": ({"retry-after": "Tue, 01 Dec 2026 09:40:00 GMT"}, None),
    "OpenAI's durations": ({"x-ratelimit-reset-requests": "6m0s"}, 360),
    "OpenAI's milliseconds": ({"x-ratelimit-reset-tokens": "20ms"}, 0.02),
    "Groq's durations": ({"x-ratelimit-reset-requests": "2m59.56s"}, 179.56),
    "what is used up, not the other": (
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1m30s",
            "x-ratelimit-remaining-tokens": "4000",
            "x-ratelimit-reset-tokens": "1s",
        },
        90,
    ),
    "both are used up": (
        {
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-remaining-tokens": "0",
            "x-ratelimit-reset-tokens": "6s",
        },
        6,
    ),
    "it does not say what is used up": (
        {"x-ratelimit-reset-requests": "8.64s", "x-ratelimit-reset-tokens": "1s"},
        1,
    ),
    "Anthropic's moments": (
        {
            "anthropic-ratelimit-input-tokens-remaining": "0",
            "anthropic-ratelimit-input-tokens-reset": "2025-12-01T09:40:42Z",
            "anthropic-ratelimit-requests-remaining": "12",
            "anthropic-ratelimit-requests-reset": "2025-12-01T09:40:01Z",
        },
        42,
    ),
    "seconds of Cerebras": ({"x-ratelimit-reset-requests-day": "33011.38"}, 33011.38),
    "milliseconds since 1970": ({"x-ratelimit-reset": "1764582005000"}, 5),
    "seconds since 1970": ({"x-ratelimit-reset": "1764582009"}, 9),
    "retry-after before resets": ({"retry-after": "2", "x-ratelimit-reset-requests": "6m"}, 2),
    "another header": ({"x-reset": "6m"}, None),
    "an empty duration": ({"x-ratelimit-reset-requests": ""}, None),
}

WORDS: dict[str, float | None] = {
    "Rate limit reached. Please try again in 6m0s. Visit ...": 360,
    "Rate limit reached for gpt. Please try again in 1.5s.": 1.5,
    "Please try again in 20ms.": 0.02,
    "Please retry after 26 seconds.": 26,
    "Please retry after 2 minutes.": 120,
    "Please retry in 36.429760048s.": 36.429760048,
    "try again in a while": None,
    "try again later": None,
    "": None,
}


@pytest.mark.parametrize("name", HEADERS)
def test_c5_headers(name: str) -> None:
    headers, wait_s = HEADERS[name]
    assert told_wait_s({**headers, **DATE}, "", None, 0.0) == pytest.approx(wait_s)
    assert told_wait_s(headers, "", None, NOW_S) == pytest.approx(wait_s)


@pytest.mark.parametrize("words", WORDS)
def test_c5_words(words: str) -> None:
    assert told_wait_s({}, words, None, NOW_S) == pytest.approx(WORDS[words])


@pytest.mark.parametrize(("delay", "wait_s"), [("36s", 36), ("3.5s", 3.5), (36, None), ([], None)])
def test_c5_googles_retry_delay(delay: object, wait_s: float | None) -> None:
    assert told_wait_s({}, "", delay, NOW_S) == pytest.approx(wait_s)


def test_c5_a_providers_moments_are_taken_by_its_own_clock() -> None:
    ours_is_an_hour_ahead = NOW_S + 3_600
    moment = {"retry-after": "Mon, 01 Dec 2025 09:40:30 GMT"}
    assert told_wait_s({**moment, **DATE}, "", None, ours_is_an_hour_ahead) == 30
    assert told_wait_s(moment, "", None, ours_is_an_hour_ahead) is None
