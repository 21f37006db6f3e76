"""Gemini's own schemas and JSON Schema.

Source: https://ai.google.dev/api/caching#Schema: an early OpenAPI 3.0 subset, with types in
capitals and `nullable`. Newer models take JSON Schema beside it, which is what is written.
"""

from typing import Any


def as_json_schema(schema: Any) -> Any:  # noqa: ANN401 - decoded JSON
    """A Schema of Gemini's as JSON Schema (2020-12)."""
    if type(schema) is list:
        return [as_json_schema(each) for each in schema]
    if type(schema) is not dict:
        return schema
    written: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "type" and type(value) is str:
            written["type"] = value.lower()
        elif name == "properties" and type(value) is dict:
            written[name] = {key: as_json_schema(each) for key, each in value.items()}
        elif name in ("items", "anyOf", "any_of", "additionalProperties"):
            written["anyOf" if name == "any_of" else name] = as_json_schema(value)
        elif name not in ("nullable", "propertyOrdering", "property_ordering"):
            written[name] = value
    if schema.get("nullable") and type(written.get("type")) is str:
        written["type"] = [written["type"], "null"]
    return written
