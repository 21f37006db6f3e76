"""What a chat service that knows less than OpenAI's is told."""

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.providers.shared.older_chat import NO_QUIRKS, ChatQuirks, for_older, short_id

OLDER = ChatQuirks(is_older=True)
MISTRAL = ChatQuirks(
    is_older=True,
    refused=("stream_options",),
    refused_in_messages=("reasoning_content",),
    short_tool_call_ids=True,
)


def test_bytes_stay_where_there_is_nothing_to_change() -> None:
    body = b'{"model": "m",  "messages": [{"role": "user", "content": "max_tokens"}]}'
    for quirks in (NO_QUIRKS, OLDER, MISTRAL):
        assert for_older(body, quirks) is body


def test_a_limit_and_instructions_are_told_in_the_older_words() -> None:
    told = _told(
        {
            "max_completion_tokens": 5,
            "max_tokens": 7,
            "messages": [{"role": "developer", "content": "be brief"}, {"role": "user"}],
        },
        OLDER,
    )
    assert told == {
        "max_tokens": 5,
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user"}],
    }


def test_what_is_refused_is_left_out_and_numbers_keep_their_digits() -> None:
    body = b'{"stream_options":{"include_usage":true},"temperature":0.10000000000000000001}'
    assert for_older(body, MISTRAL) == b'{"temperature":0.10000000000000000001}'


def test_what_is_refused_in_messages_is_left_out_of_each() -> None:
    thought = {"role": "assistant", "content": "4", "reasoning_content": "2 and 2"}
    told = _told({"messages": [thought, {"role": "user", "content": "why?"}]}, MISTRAL)
    kept = {"role": "assistant", "content": "4"}
    assert told == {"messages": [kept, {"role": "user", "content": "why?"}]}


def test_ids_of_tool_calls_stay_pairs() -> None:
    call = {"id": "call_0123456789", "type": "function", "function": {"name": "f"}}
    told = _told(
        {
            "messages": [
                {"role": "assistant", "tool_calls": [call, {**call, "id": "abcDEF123"}]},
                {"role": "tool", "tool_call_id": "call_0123456789", "content": "1"},
                {"role": "tool", "tool_call_id": "abcDEF123", "content": "2"},
            ]
        },
        MISTRAL,
    )
    calls, first, second = told["messages"]
    assert [one["id"] for one in calls["tool_calls"]] == [
        first["tool_call_id"],
        second["tool_call_id"],
    ]
    assert second["tool_call_id"] == "abcDEF123"
    assert re.fullmatch("[A-Za-z0-9]{9}", first["tool_call_id"])


@given(st.text())
def test_a_short_id_is_nine_letters_and_stays(one: str) -> None:
    assert re.fullmatch("[A-Za-z0-9]{9}", short_id(one))
    assert short_id(short_id(one)) == short_id(one)


def _told(document: dict[str, Any], quirks: ChatQuirks) -> Any:  # noqa: ANN401 - JSON
    return json.loads(for_older(json.dumps(document).encode(), quirks))
