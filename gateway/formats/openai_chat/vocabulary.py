"""Words of the format that reading and writing share.

Sources: https://platform.openai.com/docs/api-reference/chat; for thoughts and their signatures
https://openrouter.ai/docs/use-cases/reasoning-tokens (`reasoning_details`), for Gemini's signatures
on calls https://ai.google.dev/gemini-api/docs/openai (`extra_content`), both of which clients send
back as they got them.
"""

import re

from gateway.conversation.ends import Ends
from gateway.conversation.turn import StopReason

NAME = "openai_chat"

ENDS = Ends(
    known={
        "stop": "stop",
        "length": "length",
        "tool_calls": "tool_calls",
        "function_call": "tool_calls",
        "content_filter": "content_filter",
        # https://docs.mistral.ai/api/#tag/chat
        "model_length": "length",
        # https://docs.z.ai/api-reference/llm/chat-completion
        "sensitive": "content_filter",
        # https://docs.together.ai/reference/chat-completions-1
        "eos": "stop",
        # https://huggingface.github.io/text-generation-inference/
        "eos_token": "stop",
        "stop_sequence": "stop_sequence",
        # https://docs.cohere.com/reference/chat
        "complete": "stop",
        "max_tokens": "length",
        "tool_call": "tool_calls",
        # What gateways let through of https://docs.anthropic.com/en/api/messages
        "end_turn": "stop",
        "tool_use": "tool_calls",
        "refusal": "refusal",
    },
    failed=frozenset(
        {
            # https://openrouter.ai/docs/api/reference/overview#finish-reason, and Mistral
            "error",
            # https://api-docs.deepseek.com/api/create-chat-completion
            "insufficient_system_resource",
            # https://docs.z.ai/api-reference/llm/chat-completion
            "network_error",
            # https://docs.vllm.ai/en/latest/api/vllm/v1/engine/ (FinishReason)
            "abort",
            # Gemini's, by way of https://ai.google.dev/gemini-api/docs/openai
            "malformed_function_call",
            "function_call_filter: malformed_function_call",
            "function_call_filter: unexpected_tool_call",
            "unexpected_tool_call",
        }
    ),
)
"""Why answers end in the words of OpenAI, and of vendors that have others besides."""
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
