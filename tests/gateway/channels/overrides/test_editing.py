"""What each operation does to a request, and what none can do."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.channels.overrides.editing import Known, overridden
from gateway.channels.overrides.headers import with_key
from gateway.channels.overrides.operations import MODES, Ended
from gateway.channels.overrides.reading import read_overrides

BODY = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be"},
        {"role": "user", "content": " Hi "},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}]},
    ],
    "max_tokens": 100,
    "temperature": 1.5,
    "user": "u-7",
    "metadata": {"a": "1", "b": {"type": "gone"}},
    "tools": [{"name": "x"}, {"name": "y"}],
}
CLIENT = {"x-trace-id": "t1", "session-id": "s1", "user-agent": "ua {api_key}"}


def done(
    *operations: dict[str, Any], body: dict[str, Any] | None = None, **values: object
) -> tuple[dict[str, Any], dict[str, str]]:
    overrides = read_overrides(json.dumps({"operations": operations}), "")
    sent = json.dumps(BODY if body is None else body).encode()
    told, headers = overridden(sent, overrides, Known(values, CLIENT))
    return json.loads(told), headers


def changed(**members: object) -> dict[str, Any]:
    return {name: value for name, value in {**BODY, **members}.items() if value is not ...}


def content(index: int, value: object) -> dict[str, Any]:
    messages = [dict(each) for each in BODY["messages"]]  # type: ignore[attr-defined]
    messages[index]["content"] = value
    return changed(messages=messages)


ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "set": ({"mode": "set", "path": "top_p", "value": 0.5}, changed(top_p=0.5)),
    "set over": ({"mode": "set", "path": "user", "value": None}, changed(user=None)),
    "set, what is there stays": (
        {"mode": "set", "path": "user", "value": "v", "keep_origin": True},
        changed(),
    ),
    "set where nothing is": (
        {"mode": "set", "path": "thinking.budget.most", "value": 1},
        changed(thinking={"budget": {"most": 1}}),
    ),
    "set in each": (
        {"mode": "set", "path": "tools.*.strict", "value": True},
        changed(tools=[{"name": "x", "strict": True}, {"name": "y", "strict": True}]),
    ),
    "set the last": (
        {"mode": "set", "path": "tools.-1.name", "value": "z"},
        changed(tools=[{"name": "x"}, {"name": "z"}]),
    ),
    "set after the last": (
        {"mode": "set", "path": "tools.2", "value": {"name": "z"}},
        changed(tools=[{"name": "x"}, {"name": "y"}, {"name": "z"}]),
    ),
    "set far after it": ({"mode": "set", "path": "tools.9", "value": 1}, changed()),
    "set a name with a dot": (
        {"mode": "set", "path": "a\\.b", "value": 1},
        changed(**{"a.b": 1}),
    ),
    "default": ({"mode": "default", "path": "top_p", "value": 0.5}, changed(top_p=0.5)),
    "default over": ({"mode": "default", "path": "user", "value": "v"}, changed()),
    "clamp": (
        {"mode": "clamp", "path": "temperature", "value": {"min": 0, "max": 1}},
        changed(temperature=1),
    ),
    "clamp a text": ({"mode": "clamp", "path": "user", "value": {"max": 1}}, changed()),
    "delete": ({"mode": "delete", "path": "user"}, changed(user=...)),
    "delete the first": ({"mode": "delete", "path": "tools.0"}, changed(tools=[{"name": "y"}])),
    "delete each": ({"mode": "delete", "path": "tools.*"}, changed(tools=[])),
    "delete what is not there": ({"mode": "delete", "path": "a.b"}, changed()),
    "copy": ({"mode": "copy", "from": "user", "to": "safety"}, changed(safety="u-7")),
    "copy nothing": ({"mode": "copy", "from": "nobody", "to": "safety"}, changed()),
    "move": ({"mode": "move", "from": "user", "to": "safety"}, changed(user=..., safety="u-7")),
    "prepend a text": (
        {"mode": "prepend", "path": "messages.0.content", "value": "to "},
        content(0, "to be"),
    ),
    "append a text": (
        {"mode": "append", "path": "messages.0.content", "value": "!"},
        content(0, "be!"),
    ),
    "append to a list": (
        {"mode": "append", "path": "tools", "value": {"name": "z"}},
        changed(tools=[{"name": "x"}, {"name": "y"}, {"name": "z"}]),
    ),
    "prepend a list": (
        {"mode": "prepend", "path": "tools", "value": [{"name": "z"}]},
        changed(tools=[{"name": "z"}, {"name": "x"}, {"name": "y"}]),
    ),
    "append to an object": (
        {"mode": "append", "path": "metadata", "value": {"a": "2", "c": "3"}},
        changed(metadata={"a": "2", "b": {"type": "gone"}, "c": "3"}),
    ),
    "append, what is there stays": (
        {"mode": "append", "path": "metadata", "value": {"a": "2"}, "keep_origin": True},
        changed(),
    ),
    "append a text to a number": ({"mode": "append", "path": "temperature", "value": "!"}, BODY),
    "trim_prefix": ({"mode": "trim_prefix", "path": "user", "value": "u-"}, changed(user="7")),
    "trim_suffix": ({"mode": "trim_suffix", "path": "user", "value": "7"}, changed(user="u-")),
    "ensure_prefix": (
        {"mode": "ensure_prefix", "path": "user", "value": "org/"},
        changed(user="org/u-7"),
    ),
    "ensure_prefix that is there": (
        {"mode": "ensure_prefix", "path": "user", "value": "u-"},
        changed(),
    ),
    "ensure_suffix": (
        {"mode": "ensure_suffix", "path": "user", "value": "@x"},
        changed(user="u-7@x"),
    ),
    "trim_space": ({"mode": "trim_space", "path": "messages.1.content"}, content(1, "Hi")),
    "to_lower": ({"mode": "to_lower", "path": "messages.1.content"}, content(1, " hi ")),
    "to_upper": ({"mode": "to_upper", "path": "user"}, changed(user="U-7")),
    "replace": ({"mode": "replace", "path": "user", "from": "-", "to": "_"}, changed(user="u_7")),
    "regex_replace": (
        {"mode": "regex_replace", "path": "user", "from": r"u-(\d)", "to": r"v\1"},
        changed(user="v7"),
    ),
    "prune_objects": (
        {"mode": "prune_objects", "path": "messages", "value": "image"},
        content(2, [{"type": "text", "text": "a"}]),
    ),
    "prune in all": (
        {"mode": "prune_objects", "value": {"where": {"type": "gone"}}},
        changed(metadata={"a": "1"}),
    ),
    "prune not deep": (
        {
            "mode": "prune_objects",
            "path": "messages",
            "value": {"type": "image", "recursive": False},
        },
        changed(),
    ),
    "prune by condition": (
        {
            "mode": "prune_objects",
            "path": "tools",
            "value": {"conditions": [{"path": "name", "value": "x"}]},
        },
        changed(tools=[{"name": "y"}]),
    ),
    "sync from a header": (
        {"mode": "sync_fields", "from": "header:Session-Id", "to": "json:prompt_cache_key"},
        changed(prompt_cache_key="s1"),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_an_operation(name: str) -> None:
    operation, expected = ROWS[name]
    assert done(operation)[0] == expected


def test_every_mode_has_a_row() -> None:
    tested = {operation["mode"] for operation, _ in ROWS.values()}
    headers = {"delete_header", "copy_header", "move_header", "pass_headers"}
    assert tested | headers | {"return_error"} == set(MODES)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"mode": "pass_headers", "value": "X-Trace-Id, Absent"}, {"x-trace-id": "t1"}),
        ({"mode": "copy_header", "from": "Session-Id", "to": "X-Session"}, {"x-session": "s1"}),
        ({"mode": "move_header", "from": "session-id", "to": "x-session"}, {"x-session": "s1"}),
        ({"mode": "copy_header", "from": "absent", "to": "x"}, {}),
        (
            {"mode": "sync_fields", "from": "json:user", "to": "header:x-user"},
            {"x-user": "u-7"},
        ),
    ],
)
def test_an_operation_on_headers(operation: dict[str, Any], expected: dict[str, str]) -> None:
    body, headers = done(operation)
    assert (body, headers) == (BODY, expected)


def test_what_a_client_sent_is_never_taken_for_a_place_of_the_key() -> None:
    _, headers = done({"mode": "pass_headers", "value": ["user-agent"]})
    assert with_key(headers, "sk-secret") == {"user-agent": "ua {api_key}"}
    _, headers = done(
        {"mode": "sync_fields", "from": "json:user", "to": "header:x-user"},
        body={**BODY, "user": "{api_key}"},
    )
    assert with_key(headers, "sk-secret") == {"x-user": "{api_key}"}


CONDITIONS: list[tuple[dict[str, Any], bool]] = [
    ({"path": "user", "value": "u-7"}, True),
    ({"path": "user", "value": "u-8"}, False),
    ({"path": "user", "value": "u-8", "invert": True}, True),
    ({"path": "user", "mode": "prefix", "value": "u"}, True),
    ({"path": "user", "mode": "suffix", "value": "u"}, False),
    ({"path": "messages.0.content", "mode": "contains", "value": "b"}, True),
    ({"path": "temperature", "mode": "gt", "value": 1}, True),
    ({"path": "temperature", "mode": "lte", "value": 1}, False),
    ({"path": "user", "mode": "gte", "value": 1}, False),
    ({"path": "nobody", "value": 1}, False),
    ({"path": "nobody", "value": 1, "pass_missing_key": True}, True),
    ({"path": "retry_index", "mode": "gte", "value": 1}, True),
    ({"path": "is_retry", "value": True}, True),
    ({"path": "original_model", "mode": "prefix", "value": "gpt"}, True),
    ({"path": "model", "value": "m"}, True),
    ({"path": "request_headers.session-id", "value": "s1"}, True),
]


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_a_condition(condition: dict[str, Any], *, holds: bool) -> None:
    operation = {"mode": "set", "path": "seen", "value": 1, "conditions": [condition]}
    known: dict[str, Any] = {
        "retry_index": 2,
        "is_retry": True,
        "original_model": "gpt-x",
        "model": "other",
    }
    assert ("seen" in done(operation, **known)[0]) is holds


@pytest.mark.parametrize(("logic", "holds"), [("OR", True), ("AND", False)])
def test_of_several_conditions_one_is_enough_or_all_must_hold(logic: str, *, holds: bool) -> None:
    conditions = [{"path": "user", "value": "u-7"}, {"path": "user", "value": "x"}]
    operation = {"mode": "delete", "path": "user", "conditions": conditions, "logic": logic}
    assert ("user" not in done(operation)[0]) is holds


def test_operations_see_what_those_before_them_did() -> None:
    told, _ = done(
        {"mode": "set", "path": "a", "value": "x"},
        {"mode": "copy", "from": "a", "to": "b.c"},
        {"mode": "append", "path": "b.c", "value": "y"},
    )
    assert (told["a"], told["b"]) == ("x", {"c": "xy"})


def test_an_operation_may_answer_the_call_itself() -> None:
    with pytest.raises(Ended) as ended:
        done({"mode": "return_error", "value": {"message": "not here", "status_code": 451}})
    one = ended.value
    assert (one.message, one.status, one.is_final) == ("not here", 451, True)


def test_members_that_are_not_named_keep_their_bytes() -> None:
    body = b'{"seed":1e2, "big": 123456789012345678901234567890,"user":"u","top_p":1.0}'
    overrides = read_overrides('{"user": "v"}', "")
    told, _ = overridden(body, overrides, Known())
    assert told == b'{"seed":1e2,"big":123456789012345678901234567890,"user":"v","top_p":1.0}'
    nothing = read_overrides('{"operations":[{"mode":"delete","path":"absent"}]}', "")
    assert json.loads(overridden(body, nothing, Known())[0]) == json.loads(body)


LIMITED = {"messages": [], "max_tokens": 100, "n": 2, "stream": True}


@pytest.mark.parametrize(
    ("operation", "most"),
    [
        ({"mode": "set", "path": "max_tokens", "value": 50}, {"max_tokens": 50}),
        ({"mode": "set", "path": "max_tokens", "value": 5_000}, {"max_tokens": 100}),
        ({"mode": "set", "path": "max_tokens", "value": -1}, {"max_tokens": 100}),
        ({"mode": "set", "path": "max_tokens", "value": "5"}, {"max_tokens": 100}),
        ({"mode": "delete", "path": "max_tokens"}, {"max_tokens": 100}),
        ({"mode": "clamp", "path": "max_tokens", "value": {"min": 500}}, {"max_tokens": 100}),
        (
            {"mode": "move", "from": "max_tokens", "to": "max_completion_tokens"},
            {"max_completion_tokens": 100},
        ),
        (
            {"mode": "set", "path": "max_completion_tokens", "value": 101},
            {"max_tokens": 100, "max_completion_tokens": 100},
        ),
    ],
)
def test_a_limit_that_money_is_held_for_is_made_smaller_at_most(
    operation: dict[str, Any], most: dict[str, int]
) -> None:
    told, _ = done(operation, body=LIMITED)
    limits = {name: told[name] for name in told if name.startswith("max_")}
    assert limits == most


def test_where_a_client_has_no_limit_one_may_be_given() -> None:
    told, _ = done({"mode": "default", "path": "max_tokens", "value": 9}, body={"messages": []})
    assert told == {"messages": [], "max_tokens": 9}


def test_what_is_billed_by_cannot_be_changed_from_above() -> None:
    body = {"generationConfig": {"candidateCount": 1, "topK": 3}}
    told, _ = done(
        {"mode": "set", "path": "generationConfig", "value": {"candidateCount": 8, "topK": 4}},
        body=body,
    )
    assert told == {"generationConfig": {"candidateCount": 1, "topK": 4}}
    told, _ = done({"mode": "delete", "path": "generationConfig"}, body=body)
    assert told == {"generationConfig": {"candidateCount": 1}}


@pytest.mark.parametrize(
    "operation",
    [
        {"mode": "replace", "path": "a", "from": "x", "to": "y" * 60_000},
        {"mode": "regex_replace", "path": "a", "from": "x", "to": "y" * 60_000},
    ],
)
def test_what_grows_beyond_all_bounds_is_not_made(operation: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="too large"):
        done(operation, body={"a": "x" * 10_000})


def test_copies_of_copies_end() -> None:
    doubling = [{"mode": "copy", "from": "a", "to": f"a.{n}"} for n in range(20)]
    with pytest.raises(ValueError, match="too large"):
        done(*doubling, body={"a": {"w": "x" * 1_000_000}})


_value = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab*.", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
_path = st.lists(st.sampled_from(["a", "b", "*", "0", "-1", "3"]), min_size=1, max_size=3).map(
    ".".join
)


@given(
    st.dictionaries(st.sampled_from(["a", "b"]), _value, max_size=2),
    st.lists(
        st.fixed_dictionaries(
            {
                "mode": st.sampled_from(
                    ["set", "default", "delete", "prepend", "append", "trim_space", "to_upper"]
                ),
                "path": _path.filter(lambda path: not path.startswith("*")),
                "value": _value,
            }
        ),
        max_size=4,
    ),
)
def test_whatever_is_there_an_operation_leaves_a_document(
    members: dict[str, Any], operations: list[dict[str, Any]]
) -> None:
    body = {"n": 3, "stream": False, "max_tokens": 7, **members}
    told, _ = done(*operations, body=body)
    assert (told["n"], told["stream"], told["max_tokens"]) == (3, False, 7)
    assert json.loads(msgspec.json.encode(told)) == told
