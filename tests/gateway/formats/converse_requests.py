"""Requests of Converse read back, and held against AWS's own description of them."""

import base64
from functools import lru_cache
from typing import Any

import msgspec
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from gateway.conversation.parts import (
    CacheMark,
    Inline,
    Media,
    Part,
    PlainDocument,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.conversation.request import (
    Conversation,
    FunctionTool,
    Message,
    OutputFormat,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
)

_MODES = {"auto": "auto", "any": "required", "tool": "required"}


def complaint(document: dict[str, Any]) -> str:
    """What is wrong with a request by AWS's description of the service; empty: nothing."""
    shape = _service().operation_model("Converse").input_shape
    return str(ParamValidator().validate({**document, "modelId": "m"}, shape).generate_report())


@lru_cache
def _service() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("bedrock-runtime", "service-2"))


def conversation_of(document: dict[str, Any]) -> Conversation:
    """What a request says."""
    inference = document.get("inferenceConfig") or {}
    more = document.get("additionalModelRequestFields") or {}
    config = document.get("toolConfig") or {}
    system = _parts(document.get("system") or [])
    messages = [
        Message(role=message["role"], parts=_parts(message["content"]))
        for message in document["messages"]
    ]
    return Conversation(
        format="bedrock_converse",
        messages=(*([Message(role="system", parts=system)] if system else []), *messages),
        max_output_tokens=inference.get("maxTokens"),
        tools=tuple(_tool(tool["toolSpec"]) for tool in config.get("tools") or ()),
        tool_choice=_choice(config.get("toolChoice")),
        sampling=Sampling(
            temperature=inference.get("temperature"),
            top_p=inference.get("topP"),
            top_k=(more.get("inferenceConfig") or {}).get("topK"),
            stop=tuple(inference.get("stopSequences") or ()),
        ),
        reasoning=_reasoning(more.get("reasoningConfig")),
        output=_output(document.get("outputConfig")),
        service=(document.get("serviceTier") or {}).get("type", "").replace("default", "standard"),
        metadata=document.get("requestMetadata"),
    )


def _tool(spec: dict[str, Any]) -> Tool:
    return FunctionTool(
        name=spec["name"],
        description=spec.get("description") or "",
        parameters=spec["inputSchema"]["json"],
        is_strict=spec.get("strict"),
    )


def _choice(told: dict[str, Any] | None) -> ToolChoice | None:
    if told is None:
        return None
    ((kind, about),) = told.items()
    names = (about["name"],) if kind == "tool" else ()
    return ToolChoice(mode=_MODES[kind], names=names)  # type: ignore[arg-type]  # one of _MODES


def _reasoning(told: dict[str, Any] | None) -> Reasoning | None:
    return None if told is None else Reasoning(effort=told["maxReasoningEffort"])


def _output(told: dict[str, Any] | None) -> OutputFormat | None:
    if told is None:
        return None
    definition = told["textFormat"]["structure"]["jsonSchema"]
    schema = msgspec.json.decode(definition["schema"])
    return OutputFormat(kind="schema", schema=schema, name=definition.get("name") or "")


def _parts(blocks: list[dict[str, Any]]) -> tuple[Part, ...]:
    parts: list[Part] = []
    for block in blocks:
        ((kind, told),) = block.items()
        if kind == "cachePoint":
            mark = CacheMark(ttl=told.get("ttl") or "5m")
            parts[-1] = msgspec.structs.replace(parts[-1], cache=mark)
        else:
            parts.append(_part(kind, told))
    return tuple(parts)


def _part(kind: str, told: Any) -> Part:  # noqa: ANN401 - JSON
    match kind:
        case "text":
            return Text(text=told)
        case "image":
            source = Inline(media_type=f"image/{told['format']}", data=told["source"]["bytes"])
            return Media(kind="image", source=source)
        case "document":
            return _document(told)
        case "reasoningContent":
            text = told["reasoningText"]
            return Thinking(
                text=text["text"], signature=text["signature"], signed_by="bedrock_converse"
            )
        case "toolUse":
            arguments = msgspec.json.encode(told["input"]).decode()
            return ToolCall(id=told["toolUseId"], name=told["name"], arguments=arguments)
        case "toolResult":
            content = [each for each in told["content"] if each != {"json": {}}]
            return ToolResult(
                call_id=told["toolUseId"],
                content=_parts(content),  # type: ignore[arg-type]  # what results may hold
                is_error=told.get("status") == "error",
            )
        case _:
            raise AssertionError(kind)


def _document(told: dict[str, Any]) -> Part:
    data = told["source"]["bytes"]
    if told["format"] == "txt":
        return PlainDocument(text=base64.b64decode(data).decode(), title=told["name"])
    source = Inline(media_type=f"application/{told['format']}", data=data)
    return Media(kind="document", source=source, title=told["name"])
