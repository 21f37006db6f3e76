"""What new-api hard-codes: completion ratios by name, and prices of audio that Gemini models hear.

The table as it stands there, its oddities included (gpt-4.1 at 2, deepseek at 1): operators who
never set these have been charging by them. A locked ratio goes before the operator's own table.
"""

from fractions import Fraction

Hardcoded = tuple[Fraction, bool]
"""A completion ratio, and whether it is locked."""

_GPT: tuple[tuple[str, Fraction | int, bool], ...] = (
    ("gpt-4o-2024-05-13$", 3, True),
    ("gpt-4o-mini-tts", 20, False),
    ("gpt-4o", 4, False),
    ("gpt-5.4-nano", Fraction(25, 4), True),
    ("gpt-5.4", 6, True),
    ("gpt-5.", 6, False),
    ("gpt-5", 8, True),
    ("gpt-4.5-preview", 2, True),
    ("gpt-4-turbo", 3, True),
    ("gpt-", 2, False),
)
_GEMINI: tuple[tuple[str, Fraction | int, bool], ...] = (
    ("gemini-1.5", 4, True),
    ("gemini-2.0", 4, True),
    ("gemini-2.5-pro", 8, False),
    ("gemini-2.5-flash-preview", Fraction(70, 3), False),
    ("gemini-2.5-flash-lite", 4, False),
    ("gemini-2.5-flash", Fraction(25, 3), False),
    ("gemini-robotics-er-1.5", Fraction(25, 3), False),
    ("gemini-3-pro-image", 60, False),
    ("gemini-3-pro", 6, False),
    ("gemini-", 4, False),
)
_OTHERS: tuple[tuple[str, Fraction | int, bool], ...] = (
    ("o1", 4, True),
    ("o3", 4, True),
    ("chatgpt-4o-latest$", 3, True),
    ("mistral-", 3, True),
    ("command-r$", 3, True),
    ("command-r-plus$", 5, True),
    ("command-r-08-2024$", 4, True),
    ("command-r-plus-08-2024$", 4, True),
    ("command", 4, False),
    ("ERNIE-Speed-", 2, True),
    ("ERNIE-Lite-", 2, True),
    ("ERNIE-Character", 2, True),
    ("ERNIE-Functions", 2, True),
    ("llama2-70b-4096$", Fraction(5, 4), True),
    ("llama3-8b-8192$", 2, True),
    ("llama3-70b-8192$", Fraction(79, 59), True),
)
"""Beginnings of names, or whole names where they end in $; the first that fits counts."""

_CLAUDE = ("claude-3", "claude-sonnet-4", "claude-opus-4", "claude-haiku-4")
_GEMINI_AUDIO_NANOS = (
    ("gemini-2.5-flash-preview-native-audio", 3_000_000_000),
    ("gemini-2.5-flash-preview-lite", 500_000_000),
    ("gemini-2.5-flash", 1_000_000_000),
    ("gemini-2.0-flash", 700_000_000),
    ("gemini-robotics-er-1.5", 1_000_000_000),
)


def hardcoded_completion_ratio(model: str) -> Hardcoded:
    """How much dearer than input a model's output is where the operator's table does not count."""
    if model.endswith(("-all", "-gizmo-*")):
        return Fraction(2), False
    if model.startswith("gpt-") and model.endswith(("gpt-4-1106", "gpt-4-1105")):
        return Fraction(3), True
    if any(name in model for name in _CLAUDE) and not model.startswith(("gpt-", "o1", "o3")):
        return Fraction(5), True
    if model.startswith("gemini-2.5-flash-preview") and model.endswith("-nothinking"):
        return Fraction(4), False
    for name, ratio, is_locked in (*_GPT, *_GEMINI, *_OTHERS):
        if _fits(model, name):
            return Fraction(ratio), is_locked
    return Fraction(1), False


def hardcoded_audio_nanos(model: str) -> int | None:
    """What a million tokens of audio cost a Gemini model to hear, in nanodollars."""
    return next((nanos for name, nanos in _GEMINI_AUDIO_NANOS if model.startswith(name)), None)


def _fits(model: str, name: str) -> bool:
    return model == name[:-1] if name.endswith("$") else model.startswith(name)
