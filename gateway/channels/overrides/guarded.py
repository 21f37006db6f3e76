"""What overrides leave as it is: the members of a request by which it is sold and counted.

A limit of an answer may be given where the client has none, and made smaller, but not larger than
what money is held for.
"""

from typing import Any

from gateway.channels.overrides.paths import EVERY, MISSING, Path, places, value_at

_GUARDED: tuple[Path, ...] = (
    ("model",),
    ("stream",),
    ("stream_options",),
    ("n",),
    ("best_of",),
    ("generationConfig", "candidateCount"),
    ("generation_config", "candidate_count"),
    ("service_tier",),
    ("serviceTier",),
    ("speed",),
    ("background",),
    ("store",),
    ("previous_response_id",),
    ("conversation",),
)
_LIMITS: tuple[Path, ...] = (
    ("max_tokens",),
    ("max_completion_tokens",),
    ("max_output_tokens",),
    ("generationConfig", "maxOutputTokens"),
    ("generation_config", "max_output_tokens"),
    ("inferenceConfig", "maxTokens"),
)


def is_guarded(path: Path) -> bool:
    """Whether a path leads to one of them, or to all that is in the request."""
    return path == (EVERY,) or any(
        path[: len(guarded)] == guarded or _is_any_of(path, guarded) for guarded in _GUARDED
    )


def _is_any_of(path: Path, guarded: Path) -> bool:
    return len(path) == len(guarded) and all(
        mine in (EVERY, theirs) for mine, theirs in zip(path, guarded, strict=True)
    )


Kept = dict[Path, Any]


def guarded_values(document: dict[str, Any]) -> Kept:
    """All of them, before a request is changed; MISSING for those that are not there."""
    return {path: value_at(document, path) for path in (*_GUARDED, *_LIMITS)}


def restored(document: dict[str, Any], before: Kept) -> set[str]:
    """Put back what was changed all the same, as by replacing what it stands in; the top-level
    members that were changed by this.
    """
    wrong = {
        path: before[path] for path in _GUARDED if value_at(document, path) != before[path]
    } | _limits_to_put_back(document, before)
    for path, value in wrong.items():
        _put_back(document, path, value)
    return {path[0] for path in wrong}


def _limits_to_put_back(document: dict[str, Any], before: Kept) -> dict[Path, int]:
    limits = {path: before[path] for path in _LIMITS if isinstance(before[path], int)}
    if not limits:
        return {}
    held = min(limits.values())
    after = {path: value_at(document, path) for path in _LIMITS}
    told = {path: limit for path, limit in after.items() if limit is not MISSING}
    if not told:
        return limits
    return {path: held for path, limit in told.items() if not _is_within(limit, held)}


def _is_within(limit: object, held: int) -> bool:
    return isinstance(limit, int) and 0 < limit <= held


def _put_back(document: dict[str, Any], path: Path, value: Any) -> None:  # noqa: ANN401 - JSON
    for holder, key in places(document, path, creates=value is not MISSING):
        if value is MISSING:
            del holder[key]
        else:
            holder[key] = value
        return
