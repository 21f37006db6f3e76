"""AWS event stream frames, made by hand.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

import base64
import json
import struct
import zlib
from collections.abc import Mapping

from tests.fake_provider import Script, event_chunk, opened


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message."""
    packed = b"".join(
        struct.pack(">B", len(name)) + name.encode() + b"\x07" + struct.pack(">H", len(value))
        + value.encode()
        for name, value in headers.items()
    )  # fmt: skip
    prelude = struct.pack(">II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack(">I", zlib.crc32(message))


def chunk(event: Mapping[str, object]) -> bytes:
    """One event of a Messages stream, as InvokeModelWithResponseStream wraps it."""
    headers = {
        ":event-type": "chunk",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    encoded = base64.b64encode(json.dumps(event, separators=(",", ":")).encode()).decode()
    return frame(headers, json.dumps({"bytes": encoded, "p": "abcdefgh"}).encode())


def converse_frame(name: str, told: Mapping[str, object]) -> bytes:
    """One event of ConverseStream."""
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, json.dumps(told).encode())


def exception(kind: str, message: str) -> bytes:
    """What breaks a stream."""
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps({"message": message}).encode())


def on_the_wire(*frames: bytes) -> Script:
    """An answer of frames, which are cut in the middle."""
    stream = b"".join(frames)
    pieces = (stream[start : start + 100] for start in range(0, len(stream), 100))
    head = opened({"content-type": "application/vnd.amazon.eventstream"})
    return (head, *(event_chunk(piece) for piece in pieces), b"0\r\n\r\n")


MESSAGE = (
    {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-4-5-20250929",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 11, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "a fine\nänswer"},
    },
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 5},
    },
    {
        "type": "message_stop",
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 11, "outputTokenCount": 5},
    },
)
"""A whole answer, event by event."""

CONVERSE: tuple[tuple[str, dict[str, object]], ...] = (
    ("messageStart", {"role": "assistant", "p": "abcd"}),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm"}}},
    ),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "c2ln"}}},
    ),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "a fine\nänswer"}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    (
        "contentBlockStart",
        {
            "contentBlockIndex": 2,
            "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "weather"}},
        },
    ),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"city":'}}},
    ),
    (
        "contentBlockDelta",
        {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '"Oslo"}'}}},
    ),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    ("messageStop", {"stopReason": "tool_use"}),
    (
        "metadata",
        {
            "usage": {
                "inputTokens": 11,
                "outputTokens": 5,
                "totalTokens": 119,
                "cacheReadInputTokens": 100,
                "cacheWriteInputTokens": 3,
            },
            "metrics": {"latencyMs": 30},
        },
    ),
)
"""A whole answer of Converse, event by event."""
