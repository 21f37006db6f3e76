"""Schemas that Claude enforces.

Each test is named after the fault that it keeps out.
"""

from typing import Any

from tests.gateway.formats.shared.vendors.asking import SAID, sent

BOUNDED = {
    "type": "object",
    "properties": {
        "age": {"type": "integer", "minimum": 0, "maximum": 150, "description": "In years"},
        "names": {"type": "array", "items": {"type": "string", "minLength": 2}, "minItems": 2},
        "some": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "inner": {"oneOf": [{"type": "object", "properties": {"minimum": {"type": "string"}}}]},
    },
    "required": ["age", "names", "some", "inner"],
}


def test_c9_what_claude_does_not_enforce_is_told_in_words() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "o", "schema": BOUNDED}}
    request = {"messages": [SAID], "response_format": wanted}
    document, losses = sent("openai_chat", "anthropic_messages", request)
    schema = document["output_config"]["format"]["schema"]
    told = schema["properties"]
    assert told["age"]["description"] == "In years (minimum: 0, maximum: 150)"
    assert told["names"]["description"] == "minItems: 2"
    assert told["names"]["items"] == {"type": "string", "description": "minLength: 2"}
    assert told["some"]["minItems"] == 1
    (inner,) = told["inner"]["anyOf"]
    assert list(inner["properties"]) == ["minimum"]
    assert schema["additionalProperties"] is inner["additionalProperties"] is False
    assert set(losses) == {
        f"response_format.{name}" for name in ("minimum", "maximum", "minItems", "minLength")
    }


def test_c9_strict_tools_too_and_others_stay_as_they_are() -> None:
    def tool(name: str, **members: object) -> dict[str, Any]:
        return {"type": "function", "name": name, "parameters": BOUNDED, **members}

    request = {"input": "hi", "tools": [tool("f", strict=True), tool("g", strict=False)]}
    document, losses = sent("openai_responses", "anthropic_messages", request)
    assert "minimum" not in document["tools"][0]["input_schema"]["properties"]["age"]
    assert document["tools"][1]["input_schema"] == BOUNDED
    assert "tools.minimum" in losses


def test_c9_no_more_than_twenty_tools_are_strict() -> None:
    simple = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    tools = [
        {"type": "function", "name": f"f{number}", "strict": True, "parameters": simple}
        for number in range(22)
    ]
    request = {"input": "hi", "tools": tools}
    document, losses = sent("openai_responses", "anthropic_messages", request)
    assert [bool(tool.get("strict")) for tool in document["tools"]] == [True] * 20 + [False] * 2
    assert losses == ("tools.strict",)


def test_c9_nor_more_than_24_parameters_optional() -> None:
    many = {f"p{number}": {"type": "string"} for number in range(13)}
    tools = [
        {"type": "function", "name": name, "strict": True,
         "parameters": {"type": "object", "properties": many}}
        for name in "fg"
    ]  # fmt: skip
    document, losses = sent(
        "openai_responses", "anthropic_messages", {"input": "hi", "tools": tools}
    )
    assert [bool(tool.get("strict")) for tool in document["tools"]] == [True, False]
    assert losses == ("tools.strict",)
