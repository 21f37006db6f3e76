"""How many tokens media have: the most they can, for a hold, and what is likely, for an estimate.

An image whose size is known is counted as its vendor documents it; what cannot be seen has the
constants that operators of this family know. Sources of the image rules:
https://platform.openai.com/docs/guides/images-vision (calculating costs), with the multipliers of
small models as they are billed; https://docs.anthropic.com/en/docs/build-with-claude/vision;
https://ai.google.dev/gemini-api/docs/tokens and .../media-resolution.
"""

import re
from fractions import Fraction
from typing import NamedTuple

from gateway.media.image_sizes import Size

IMAGE_LIKELY_TOKENS = 520
AUDIO_LIKELY_TOKENS = 256
VIDEO_LIKELY_TOKENS = 8_192
FILE_LIKELY_TOKENS = 4_096
"""Of one image, recording, film or file that nobody has looked into."""


class MediaTokens(NamedTuple):
    """`most`: never more than this; `likely`: what an estimate takes, at most as many."""

    most: int
    likely: int


class Rule(NamedTuple):
    """How OpenAI counts an image: a base and so much a tile of 512 pixels; or patches of 32 pixels,
    at most so many, times a multiplier.
    """

    base: int = 0
    tile: int = 0
    patches_max: int = 0
    multiplier: Fraction = Fraction(1)


_SMALL_PATCHES = 1_536
_LARGE_PATCHES = 12_500
"""Of models that look at an image as it is; larger ones are scaled down before."""

_RULES: tuple[tuple[str, Rule], ...] = (
    (r"gpt-4o-mini", Rule(base=2_833, tile=5_667)),
    (r"gpt-4\.1-mini", Rule(patches_max=_SMALL_PATCHES, multiplier=Fraction(162, 100))),
    (r"gpt-4\.1-nano", Rule(patches_max=_SMALL_PATCHES, multiplier=Fraction(246, 100))),
    (r"(o4|codex)-mini", Rule(patches_max=_SMALL_PATCHES, multiplier=Fraction(172, 100))),
    (r"gpt-5-nano", Rule(patches_max=_SMALL_PATCHES, multiplier=Fraction(3, 2))),
    (r"gpt-5(\.4)?-(mini|nano)", Rule(patches_max=_SMALL_PATCHES, multiplier=Fraction(6, 5))),
    (r"gpt-5\.[23]\b", Rule(patches_max=_SMALL_PATCHES, multiplier=Fraction(6, 5))),
    (r"gpt-5\.[4-9]|gpt-[6-9]", Rule(patches_max=_LARGE_PATCHES, multiplier=Fraction(6, 5))),
    (r"gpt-5(\.1)?\b", Rule(base=70, tile=140)),
    (r"o[13]\b", Rule(base=75, tile=150)),
    (r"computer-use", Rule(base=65, tile=129)),
    (r"gpt-4o|gpt-4\.[15]|gpt-4-turbo|gpt-4-vision", Rule(base=85, tile=170)),
)
_GEMINI_GENERATION = re.compile(r"gemini-(\d{1,3})(?!\d)")


def image(model: str, size: Size | None, detail: str, most: int) -> MediaTokens:
    """An image that a model looks at, by the model's name. `most` is the bound where nothing is
    known: of the model, or of the image.
    """
    name = model.rpartition("/")[2]
    rule = next((rule for pattern, rule in _RULES if re.match(pattern, name)), None)
    if rule is not None:
        return _openai(rule, size, detail, most)
    generation = _GEMINI_GENERATION.search(name)
    if generation is not None:
        return _gemini(int(generation.group(1)), size, most)
    if "claude" in name and size is not None:
        return _anthropic(size, most)
    return unseen(most, IMAGE_LIKELY_TOKENS)


def unseen(most: int, likely: int) -> MediaTokens:
    """What cannot be looked into."""
    return MediaTokens(most, min(most, likely))


def _openai(rule: Rule, size: Size | None, detail: str, most: int) -> MediaTokens:
    if detail == "low" and rule.tile:
        return MediaTokens(rule.base, rule.base)
    if size is None:
        bound = max(most, rule.base + 8 * rule.tile)
        return unseen(bound, _usual(rule))
    counted = _tiles(size, rule) if rule.tile else _patches(size, rule)
    return MediaTokens(counted, counted)


def _anthropic(size: Size, most: int) -> MediaTokens:
    """Width times height through 750, or patches of 28 pixels; scaled down beyond the bound."""
    likely = -(-size.width * size.height // 750)
    patches = -(-size.width // 28) * -(-size.height // 28)
    return MediaTokens(min(max(likely, patches) + 100, most), min(likely, 1_568, most))


def _gemini(generation: int, size: Size | None, most: int) -> MediaTokens:
    """258 a tile; since Gemini 3 a fixed number, and at the highest resolution twice as many."""
    if generation >= 3:
        return MediaTokens(min(most, 2_240), min(most, 1_120))
    if size is None:
        return unseen(most, IMAGE_LIKELY_TOKENS)
    tiles = 1
    if max(size) > 384:
        unit = max(256, min(768, min(size) * 2 // 3))
        tiles = -(-size.width // unit) * -(-size.height // unit)
    counted = min(258 * tiles, most)
    return MediaTokens(counted, counted)


def _usual(rule: Rule) -> int:
    """An image of 1,024 x 1,024."""
    usual = Size(1_024, 1_024)
    return _tiles(usual, rule) if rule.tile else _patches(usual, rule)


def _tiles(size: Size, rule: Rule) -> int:
    """Within 2,048 x 2,048, then the shorter side down to 768; no image is made larger."""
    width, height = Fraction(size.width), Fraction(size.height)
    for scale in (Fraction(2_048) / max(size), Fraction(768) / _shorter(size)):
        if scale < 1:
            width, height = width * scale, height * scale
    return rule.base + rule.tile * -(-width // 512) * -(-height // 512)


def _shorter(size: Size) -> Fraction:
    """The shorter side once the longer one fits."""
    return Fraction(min(size)) * min(Fraction(1), Fraction(2_048, max(size)))


def _patches(size: Size, rule: Rule) -> int:
    patches = min(-(-size.width // 32) * -(-size.height // 32), rule.patches_max)
    exact = patches * rule.multiplier
    return -(-exact.numerator // exact.denominator)
