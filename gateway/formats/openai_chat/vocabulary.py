"""Words of the format that reading and writing share.

Sources: https://platform.openai.com/docs/api-reference/chat; for thoughts and their signatures
https://openrouter.ai/docs/use-cases/reasoning-tokens (`reasoning_details`), for Gemini's signatures
on calls https://ai.google.dev/gemini-api/docs/openai (`extra_content`), both of which clients send
back as they got them.
"""

import re

from gateway.conversation.turn import StopReason

NAME = "openai_chat"

STOP_OF_FINISH: dict[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
FINISH_OF_STOP: dict[StopReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "pause": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}

FORMAT_OF_SIGNER = {
    "anthropic_messages": "anthropic-claude-v1",
    "openai_responses": "openai-responses-v1",
    "gemini": "google-gemini-v1",
    "bedrock_converse": "bedrock-converse-v1",
}
SIGNER_OF_FORMAT = {name: signer for signer, name in FORMAT_OF_SIGNER.items()}

MEDIA_TYPE_OF_AUDIO = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "pcm16": "audio/pcm",
}
AUDIO_OF_MEDIA_TYPE = {kind: name for name, kind in MEDIA_TYPE_OF_AUDIO.items()} | {
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
}

SERVICE_OF_TIER = {"default": "standard", "flex": "flex", "priority": "priority"}
TIER_OF_SERVICE = {service: tier for tier, service in SERVICE_OF_TIER.items()}

_SIGNING = re.compile(r"(?:.*/)?gemini")


def signs_calls(model: str) -> bool:
    """Whether a model knows `extra_content`, where its signatures stand; others refuse the whole
    request for a member of a call that they do not know.
    """
    return _SIGNING.match(model) is not None
