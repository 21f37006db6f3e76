"""Doing a channel's overrides to a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.channels.overrides.guarded import guarded_values, restored
from gateway.channels.overrides.headers import templates
from gateway.channels.overrides.operations import MODES, Request
from gateway.channels.overrides.reading import Overrides
from gateway.http.raw_members import edited

_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Known:
    """What conditions may ask for besides the request: values by name, and what the client sent in
    headers that may be passed on, by lower-case name.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    client_headers: Mapping[str, str] = field(default_factory=dict)


def overridden(body: bytes, overrides: Overrides, known: Known) -> tuple[bytes, dict[str, str]]:
    """The body, and the headers to send with it, which may still leave the channel's key open.

    Members that no operation names keep their bytes. Raises Ended where an operation answers the
    call itself, ValueError for a request that would become too large.
    """
    headers = templates(overrides.headers, known.client_headers)
    if not overrides.operations:
        return body, headers
    request = Request(_decoder.decode(body), headers, known.client_headers)
    before = guarded_values(request.document)
    values = {**known.values, "request_headers": dict(known.client_headers)}
    for one in overrides.operations:
        if one.is_due(request.document, values):
            MODES[one.mode](request, one)
    touched = request.touched | restored(request.document, before)
    if touched:
        there = request.document.keys()
        replaced = {name: request.document[name] for name in touched & there}
        body = edited(body, replaced, touched - there)
    return body, request.headers
