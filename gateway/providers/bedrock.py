"""Amazon Bedrock: Claude by InvokeModel, OpenAI's models at its OpenAI-compatible address, all
others by Converse.

Sources: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html,
.../API_runtime_Converse.html, .../userguide/model-parameters-anthropic-claude-messages.html,
.../inference-profiles-support.html and .../inference-chat-completions.html
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from gateway.http.raw_members import edited, members_of
from gateway.http.upstream import (
    KEY_REFUSED,
    Upstream,
    UpstreamAnswer,
    UpstreamRequest,
    WholeAnswer,
)
from gateway.providers.contract import Attempt, Habits, KeyForm, Setting
from gateway.providers.shared.aws_events import (
    CONTENT_TYPE,
    RetoldStream,
    converse_event,
    messages_event,
)

ANTHROPIC_VERSION = "bedrock-2023-05-31"
BETAS = (
    "computer-use-2024-10-22,computer-use-2025-01-24,token-efficient-tools-2025-02-19,"
    "interleaved-thinking-2025-05-14,output-128k-2025-02-19,dev-full-thinking-2025-05-14,"
    "fine-grained-tool-streaming-2025-05-14,context-1m-2025-08-07,"
    "context-management-2025-06-27,effort-2025-11-24,tool-search-tool-2025-10-19,"
    "tool-examples-2025-10-29"
)

_SERVICE = "bedrock"
_FAILURE_BYTES_MAX = 64 * 1024
_LARGE_BYTES = 1024 * 1024
_PART = r"[\x21-\x7b\x7d\x7e]+"
_REGION = r"[a-z]{2}(-[a-z]{2,16}){1,2}-\d{1,2}"
_GEOGRAPHIES = {"us-gov": "us-gov", "us": "us", "eu": "eu", "ap": "apac"}
# Models that are to be had in most regions, or everywhere, in no other way than by a profile.
_BY_PROFILE = re.compile(
    r"anthropic\.|amazon\.nova|meta\.llama(3-[1-9]-|[4-9])|deepseek\.r1|mistral\.pixtral|writer\."
)
_OF_OPENAI = re.compile(r"(?:[a-z-]+\.)?openai\.")
# What a profile of one's own stands for is not said by its name; it may be Claude.
_NEVER_CLAUDE = re.compile(r"arn:.*:(imported-model|custom-model|custom-model-deployment)/")
_CONVERSE = "bedrock_converse"
_ACTIONS = {
    ("anthropic_messages", False): "invoke",
    ("anthropic_messages", True): "invoke-with-response-stream",
    (_CONVERSE, False): "converse",
    (_CONVERSE, True): "converse-stream",
}
# What is not for our client but about our key, in the words that come with status 403.
_BAD_KEY = re.compile(r"security token .*invalid|api key is valid", re.IGNORECASE)


class _Key(NamedTuple):
    """`secret` is empty for an API key, which is sent as it is."""

    access: str
    secret: str
    region: str


class _Complaint(msgspec.Struct):
    message: str = ""


class Bedrock:
    """Requests signed with an access key (SigV4), or an API key; the key names the region."""

    name = "bedrock"
    base_url = "https://bedrock-runtime.{region}.amazonaws.com"
    is_whole_url = False
    needs_key = True
    # .../userguide/model-parameters-anthropic-claude-messages.html: images come as bytes; Converse
    # knows buckets besides, which are not opened for clients.
    habits = Habits(fetches_media=False)
    key_form = KeyForm(
        "`access key|secret key|region`, or `API key|region`",
        rf"{_PART}(\|{_PART})?\|{_REGION}",
    )
    spoken = ("anthropic_messages", _CONVERSE, "openai_chat")
    settings = (
        Setting(
            "inference_profile",
            "The geography put before a model's id, as in us, eu, apac or global; none: the id as "
            "it is; else the region's own.",
            pattern="none|[a-z]{2,6}(-[a-z]{2,6})?",
        ),
        Setting(
            "betas",
            "Which of a client's anthropic-beta are passed on, separated by commas; * for all. "
            "Bedrock refuses calls with those it does not know.",
            default=BETAS,
            pattern=r"[\x21-\x7e]{1,2048}",
        ),
    )

    def formats(
        self, _base_url: str, upstream_model: str, _settings: Mapping[str, str], /
    ) -> Sequence[str]:
        """Messages for Claude and for profiles of one's own, Chat Completions for OpenAI's models,
        Converse for all others.
        """
        return (_spoken(upstream_model),)

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """POST the body as this address reads it, signed or with the key."""
        key = _key(attempt.key)
        if key is None:
            return KEY_REFUSED
        base_url = attempt.base_url.replace("{region}", key.region)
        action = _ACTIONS.get((attempt.format, attempt.is_stream))
        model = quote(_profile(attempt, key.region), safe="")
        path = f"model/{model}/{action}" if action else "openai/v1/chat/completions"
        url, body = f"{base_url}/{path}", attempt.body
        if attempt.format == "anthropic_messages":
            body = _invoked(attempt)
        headers = {"content-type": "application/json"}
        if not key.secret:
            headers["authorization"] = f"Bearer {key.access}"
        elif len(body) > _LARGE_BYTES:
            headers = await asyncio.to_thread(_signed, key, url, headers, body)
        else:
            headers = _signed(key, url, headers, body)
        answer = await upstream.send(UpstreamRequest(url, headers, body))
        if answer.status != 200:
            return await _complaint(answer, attempt.format)
        if not answer.headers.get("content-type", "").startswith(CONTENT_TYPE):
            return answer
        return RetoldStream(
            answer, converse_event if attempt.format == _CONVERSE else messages_event
        )


def _spoken(model: str) -> str:
    """The format in which a model is asked: by its id, or by a resource that names it."""
    named = model.rpartition("/")[2]
    if _OF_OPENAI.match(named):
        return "openai_chat"
    is_unnamed = model.startswith("arn:") and "." not in named
    if "anthropic." in named or (is_unnamed and not _NEVER_CLAUDE.match(model)):
        return "anthropic_messages"
    return _CONVERSE


def _key(text: str) -> _Key | None:
    parts = text.split("|")
    if len(parts) not in (2, 3) or not re.fullmatch(_REGION, parts[-1]):
        return None
    return _Key(parts[0], parts[1] if len(parts) == 3 else "", parts[-1])


def _signed(key: _Key, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """The headers with AWS's signature of them, the address and the body."""
    # Most installations have no such channel, and every process of theirs would load the library.
    from botocore.auth import SigV4Auth  # noqa: PLC0415
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    request = AWSRequest(method="POST", url=url, data=body, headers=dict(headers))
    SigV4Auth(Credentials(key.access, key.secret), _SERVICE, key.region).add_auth(request)
    return dict(request.headers.items())


def _profile(attempt: Attempt, region: str) -> str:
    """The id of the profile that spreads a model over the regions of a geography: most models
    are to be had in no other way. Ids that name one already, or a resource, stay.
    """
    chosen = attempt.settings.get("inference_profile", "")
    model = attempt.upstream_model
    if chosen == "none" or not _BY_PROFILE.match(model):
        return model
    own = next((told for start, told in _GEOGRAPHIES.items() if region.startswith(start)), "global")
    return f"{chosen or own}.{model}"


def _invoked(attempt: Attempt) -> bytes:
    """The body as InvokeModel has it: model and streaming are told by the address."""
    replaced: dict[str, object] = {}
    members = members_of(attempt.body)
    if "anthropic_version" not in members:
        replaced["anthropic_version"] = ANTHROPIC_VERSION
    betas = _betas(attempt)
    if betas:
        replaced["anthropic_beta"] = betas
    return edited(attempt.body, replaced, ("model", "stream"))


def _betas(attempt: Attempt) -> list[str]:
    asked = [beta.strip() for beta in attempt.headers.get("anthropic-beta", "").split(",")]
    passed = attempt.settings.get("betas", BETAS).split(",")
    return [beta for beta in asked if beta and (beta in passed or passed == ["*"])]


async def _complaint(answer: UpstreamAnswer, format_name: str) -> UpstreamAnswer:
    """A failure in the envelope that the formats know; Converse knows AWS's own."""
    body = b""
    async for piece in answer.pieces():
        body += piece
        if len(body) > _FAILURE_BYTES_MAX:
            break
    answer.close()
    try:
        message = msgspec.json.decode(body, type=_Complaint).message
    except msgspec.DecodeError:
        message = ""
    if not message:
        return WholeAnswer(answer.status, answer.headers, body)
    if answer.status == 403 and _BAD_KEY.search(message):
        return KEY_REFUSED
    if format_name == _CONVERSE:
        return WholeAnswer(answer.status, answer.headers, body)
    told = msgspec.json.encode({"error": {"message": message}})
    return WholeAnswer(answer.status, answer.headers, told)
