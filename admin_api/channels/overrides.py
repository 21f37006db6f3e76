"""What a channel changes in requests, as people write it; and chains of models' names."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from admin_api.errors import InvalidInput
from ledger import ids

STATUSES_MAX = 50
_NOTHING = ("", "{}")

OverrideCheck = Callable[[str, str], object]
"""Reads parameter overrides and header overrides, both JSON; raises ValueError."""


def told_overrides(
    given: Mapping[str, Any], check: OverrideCheck
) -> tuple[dict[str, Any], dict[UUID, str]]:
    """The fields of Overrides that are given, and the texts among them that lie in the vault.

    Raises InvalidInput, which says nothing of a header's value.
    """
    fields: dict[str, Any] = {}
    texts: dict[UUID, str] = {}
    if (parameters := given.get("parameter_overrides")) is not None:
        _check("parameter_overrides", check, parameters, "")
        fields["parameters_id"] = _sealed(parameters, texts)
    if (headers := given.get("header_overrides")) is not None:
        _check("header_overrides", check, "", headers)
        fields["headers_id"] = _sealed(headers, texts)
        fields["header_names"] = tuple(json.loads(headers)) if headers.strip() else ()
    if (statuses := given.get("status_codes")) is not None:
        fields["statuses"] = _statuses(statuses)
    return fields, texts


def followed(models: Mapping[str, str]) -> dict[str, str]:
    """Each model with the name at the end of its chain: of `a=b` and `b=c`, a is c. A name that
    leads to itself is an end. Raises InvalidInput for a circle.
    """
    return {name: _end_of(name, models) for name in models}


def _end_of(name: str, models: Mapping[str, str]) -> str:
    passed = [name]
    while (following := models.get(passed[-1])) is not None and following != passed[-1]:
        if following in passed:
            circle = " -> ".join([*passed[passed.index(following) :], following])
            raise InvalidInput("models", f"go round in a circle: {circle[:200]}")
        passed.append(following)
    return passed[-1]


def _check(field: str, check: OverrideCheck, parameters: str, headers: str) -> None:
    try:
        check(parameters, headers)
    except ValueError as error:
        raise InvalidInput(field, str(error)) from None


def _sealed(text: str, texts: dict[UUID, str]) -> UUID | None:
    if text.strip() in _NOTHING:
        return None
    text_id = ids.entity_id()
    texts[text_id] = text
    return text_id


def _statuses(given: Mapping[str, int]) -> dict[str, int]:
    if len(given) > STATUSES_MAX:
        raise InvalidInput("status_codes", f"must not be more than {STATUSES_MAX}")
    found = {}
    for told, said in given.items():
        if not (told.isascii() and told.isdigit() and len(told) == 3 and 400 <= int(told) <= 599):
            raise InvalidInput("status_codes", "must be the provider's statuses of 400 to 599")
        if not 400 <= said <= 599:
            raise InvalidInput("status_codes", "must be told as statuses of 400 to 599")
        found[told] = said
    return found
