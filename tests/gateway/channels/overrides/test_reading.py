"""What operators may write, and what they are told of the rest."""

import json
import time
from typing import Any

import pytest

from gateway.channels.overrides.editing import Known, overridden
from gateway.channels.overrides.headers import templates, with_key
from gateway.channels.overrides.reading import read_overrides

REFUSED: list[tuple[str, str]] = [
    ("[]", "JSON object"),
    ("{", "JSON object"),
    ('{"model": "x"}', "model says what is sold"),
    ('{"stream": false}', "what is sold"),
    ('{"n": 5}', "what is sold"),
    ('{"service_tier": "priority"}', "what is sold"),
    ('{"operations": {}}', "must be a list"),
    ('{"operations": [], "temperature": 1}', "nothing beside it"),
    ('{"operations": [{"mode": "explode"}]}', "operation 0: the mode 'explode' is none of"),
    ('{"operations": [{"mode": "set", "path": "a"}]}', "operation 0: has no value"),
    ('{"operations": [{"mode": "set", "path": "", "value": 1}]}', "names no place"),
    ('{"operations": [{"mode": "set", "path": "a..b", "value": 1}]}', "names no place"),
    ('{"operations": [{"mode": "set", "path": "*", "value": 1}]}', "what is sold"),
    ('{"operations": [{"mode": "set", "path": "*.candidateCount", "value": 1}]}', "what is sold"),
    ('{"operations": [{"mode": "move", "from": "stream", "to": "a"}]}', "what is sold"),
    ('{"operations": [{"mode": "copy", "from": "a", "to": "model"}]}', "what is sold"),
    ('{"operations": [{"mode": "sync_fields", "from": "json:a", "to": "json:n"}]}', "is sold"),
    ('{"operations": [{"mode": "sync_fields", "from": "a", "to": "json:b"}]}', "must be like"),
    ('{"operations": [{"mode": "clamp", "path": "a", "value": 1}]}', "must be like"),
    ('{"operations": [{"mode": "trim_prefix", "path": "a", "value": 1}]}', "must be a text"),
    ('{"operations": [{"mode": "replace", "path": "a", "to": "b"}]}', "from is empty"),
    ('{"operations": [{"mode": "regex_replace", "path": "a", "from": "("}]}', "cannot be read"),
    ('{"operations": [{"mode": "return_error", "value": {"message": ""}}]}', "a message"),
    (
        '{"operations": [{"mode": "return_error", "value": {"message": "a", "status_code": 200}}]}',
        "400 to 599",
    ),
    ('{"operations": [{"mode": "prune_objects", "path": "a", "value": {}}]}', "which objects"),
    ('{"operations": [{"mode": "set_header", "path": "a", "value": "b"}]}', "header overrides"),
    ('{"operations": [{"mode": "pass_headers", "value": ["cookie"]}]}', "not passed on"),
    ('{"operations": [{"mode": "set", "path": "a", "value": 1, "when": 2}]}', "when"),
    (
        json.dumps({"operations": [{"mode": "set", "path": "a", "value": 1}] * 101}),
        "up to 100 operations",
    ),
    (json.dumps({"a": "x" * 70_000}), "characters"),
]


@pytest.mark.parametrize(("text", "told"), REFUSED, ids=[text[:60] for text, _ in REFUSED])
def test_what_cannot_be_done_is_told_before_it_is_kept(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_overrides(text, "")


REFUSED_HEADERS: list[tuple[dict[str, Any], str]] = [
    ({"Host": "elsewhere"}, "belongs to the connection"),
    ({"content-length": "1"}, "belongs to the connection"),
    ({"a b": "x"}, "no name of a header"),
    ({"x": "a\r\nb: c"}, "a text that a header can hold"),
    ({"x": 1}, "a text that a header can hold"),
    ({"x": "{client_header:Authorization}"}, "not passed on"),
    ({"re:(": ""}, "cannot be read"),
    ({f"x-{n}": "" for n in range(51)}, "up to 50"),
]


@pytest.mark.parametrize(("headers", "told"), REFUSED_HEADERS)
def test_a_header_that_cannot_be_sent_is_told_before_it_is_kept(
    headers: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        read_overrides("", json.dumps(headers))
    assert "elsewhere" not in str(refused.value)


CLIENT = {"x-trace-a": "1", "x-trace-b": "2", "user-agent": "me", "accept": "*/*"}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"X-Team": "a b"}, {"x-team": "a b"}),
        ({"Api-Key": "Key {api_key}"}, {"api-key": "Key sk-1"}),
        ({"X-Of": "{client_header:User-Agent}/1"}, {"x-of": "me/1"}),
        ({"X-Of": "{client_header:Absent}/1"}, {}),
        ({"re:^x-trace-": ""}, {"x-trace-a": "1", "x-trace-b": "2"}),
        ({"*": True}, CLIENT),
        ({"*": "", "Accept": "x"}, {**CLIENT, "accept": "x"}),
    ],
)
def test_headers_of_a_channel(written: dict[str, Any], expected: dict[str, str]) -> None:
    overrides = read_overrides("", json.dumps(written))
    assert with_key(templates(overrides.headers, CLIENT), "sk-1") == expected


def test_a_plain_object_sets_its_members() -> None:
    overrides = read_overrides('{"temperature": 0.1, "a.b": [1]}', "")
    told, headers = overridden(b'{"temperature":1}', overrides, Known())
    assert (json.loads(told), headers) == ({"temperature": 0.1, "a.b": [1]}, {})


def test_a_pattern_takes_time_in_proportion_to_what_it_reads() -> None:
    overrides = read_overrides(
        '{"operations": [{"mode": "regex_replace", "path": "a", "from": "(x+x+)+y", "to": "z"}]}',
        "",
    )
    begun = time.process_time()
    overridden(json.dumps({"a": "x" * 20_000}).encode(), overrides, Known())
    assert time.process_time() - begun < 5, "it would not end in the life of the sun"


def test_the_hold_is_for_all_that_may_be_added() -> None:
    overrides = read_overrides(
        json.dumps(
            {
                "operations": [
                    {"mode": "append", "path": "a", "value": "word"},
                    {"mode": "replace", "path": "a", "from": "x", "to": "other"},
                    {"mode": "delete", "path": "b"},
                ]
            }
        ),
        "",
    )
    assert overrides.words == '["word","other"]'
    assert read_overrides("", "").words == ""
