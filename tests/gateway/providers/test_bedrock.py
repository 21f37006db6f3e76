"""Bedrock: what InvokeModel is sent, and AWS's signature over it."""

import asyncio
from typing import Any

import msgspec
import pytest

from gateway.http.upstream import WholeAnswer
from gateway.providers.bedrock import Bedrock
from tests.gateway.providers.asking import Sent, answer, asked, attempt, sent_json
from tests.gateway.providers.event_streams import MESSAGE, chunk
from tests.gateway.providers.signatures import as_received, is_signed, signing_key

PROFILE = "arn:aws:bedrock:us-east-1:1:p/x"
CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-lite-v1:0"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEY = f"AKIDEXAMPLE|{SECRET}|us-east-1"
BODY = {"model": CLAUDE, "stream": True, "max_tokens": 5, "messages": []}
HOST = "https://bedrock-runtime.us-east-1.amazonaws.com"


def test_the_check_of_signatures_agrees_with_awss_published_example() -> None:
    key = signing_key(SECRET, "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
    headers = {
        "host": "iam.amazonaws.com",
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "x-amz-date": "20150830T123600Z",
        "authorization": (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date, "
            "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        ),
    }
    target = "/?Action=ListUsers&Version=2010-05-08"
    assert is_signed("GET", target, headers, b"", SECRET)
    assert not is_signed("GET", target, headers, b"x", SECRET)


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    "model",
    [CLAUDE, NOVA, "openai.gpt-oss-120b-1:0", "arn:aws:bedrock:us-east-1:1:p/x"],
)
def test_a_request_is_signed_as_it_is_sent(model: str, is_stream: bool) -> None:
    bedrock = Bedrock()
    (format_name,) = bedrock.formats("", model, {})
    one = attempt(bedrock, format_name, model=model, key=KEY, is_stream=is_stream, body=BODY)
    request = asked(bedrock, one)
    target, headers = as_received(request.url, request.headers)
    assert "/us-east-1/bedrock/aws4_request" in headers["authorization"]
    assert is_signed("POST", target, headers, request.body, SECRET)
    assert not is_signed("POST", target, headers, request.body + b" ", SECRET)
    assert not is_signed("POST", target + "x", headers, request.body, SECRET)
    assert SECRET not in str(request)


def test_a_large_body_is_signed_all_the_same() -> None:
    bedrock = Bedrock()
    body = {**BODY, "system": "x" * 2_000_000}
    request = asked(
        bedrock, attempt(bedrock, "anthropic_messages", model=CLAUDE, key=KEY, body=body)
    )
    assert is_signed("POST", *as_received(request.url, request.headers), request.body, SECRET)


def test_an_api_key_is_sent_as_it_is() -> None:
    bedrock = Bedrock()
    one = attempt(bedrock, "openai_chat", model="openai.gpt-oss-20b-1:0", key="ABSK=|eu-west-1")
    request = asked(bedrock, one)
    assert request.headers["authorization"] == "Bearer ABSK="
    assert request.url == (
        "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1/chat/completions"
    )
    assert request.body == one.body


@pytest.mark.parametrize(
    ("model", "format_name"),
    [
        (CLAUDE, "anthropic_messages"),
        (f"us.{CLAUDE}", "anthropic_messages"),
        (PROFILE, "anthropic_messages"),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x1", "anthropic_messages"),
        (f"arn:aws:bedrock:us-east-1::foundation-model/{CLAUDE}", "anthropic_messages"),
        ("openai.gpt-oss-120b-1:0", "openai_chat"),
        ("us.openai.gpt-oss-120b-1:0", "openai_chat"),
        (NOVA, "bedrock_converse"),
        ("us.amazon.nova-pro-v1:0", "bedrock_converse"),
        (f"arn:aws:bedrock:us-east-1:1:inference-profile/us.{NOVA}", "bedrock_converse"),
        ("arn:aws:bedrock:us-east-1:1:imported-model/x1", "bedrock_converse"),
        ("meta.llama3-3-70b-instruct-v1:0", "bedrock_converse"),
        ("mistral.mistral-large-2402-v1:0", "bedrock_converse"),
        ("cohere.command-r-v1:0", "bedrock_converse"),
        ("ai21.jamba-1-5-large-v1:0", "bedrock_converse"),
        ("us.deepseek.r1-v1:0", "bedrock_converse"),
    ],
)
def test_the_format_in_which_a_model_is_asked(model: str, format_name: str) -> None:
    assert Bedrock().formats("", model, {}) == (format_name,)


@pytest.mark.parametrize(
    ("model", "is_stream", "path"),
    [
        (NOVA, False, "us.amazon.nova-lite-v1%3A0/converse"),
        (NOVA, True, "us.amazon.nova-lite-v1%3A0/converse-stream"),
        ("meta.llama3-3-70b-v1:0", False, "us.meta.llama3-3-70b-v1%3A0/converse"),
        ("meta.llama3-8b-v1:0", False, "meta.llama3-8b-v1%3A0/converse"),
        ("mistral.mistral-large-2402-v1:0", False, "mistral.mistral-large-2402-v1%3A0/converse"),
        ("us.deepseek.r1-v1:0", False, "us.deepseek.r1-v1%3A0/converse"),
    ],
)
def test_what_converse_is_sent(model: str, is_stream: bool, path: str) -> None:
    body: dict[str, Any] = {"messages": []}
    one = attempt(
        Bedrock(),
        "bedrock_converse",
        model=model,
        key="ABSK=|us-east-1",
        is_stream=is_stream,
        body=body,
    )
    request = asked(Bedrock(), one)
    assert request.url == f"{HOST}/model/{path}"
    assert request.headers["authorization"] == "Bearer ABSK="
    assert sent_json(request) == body


def test_a_complaint_of_converse_stays_as_aws_words_it() -> None:
    headers = {"x-amzn-errortype": "ValidationException"}
    for status, message, told in (
        (400, "bad", 400),
        (403, "The security token included in the request is invalid.", 401),
    ):
        body = msgspec.json.encode({"message": message})
        refusal = WholeAnswer(status, headers, body)
        upstream = Sent(lambda _, refusal=refusal: refusal)  # type: ignore[misc]  # its own default
        failure = answer(
            Bedrock(), attempt(Bedrock(), "bedrock_converse", model=NOVA, key=KEY), upstream
        )
        assert failure.status == told
        if told == 400:
            assert asyncio.run(failure.read()) == body
            assert failure.headers["x-amzn-errortype"] == "ValidationException"


def test_what_invoke_model_is_sent() -> None:
    bedrock = Bedrock()
    betas = "context-1m-2025-08-07, claude-code-20250219"
    one = attempt(
        bedrock,
        "anthropic_messages",
        model=CLAUDE,
        key=KEY,
        is_stream=True,
        body=BODY,
        headers={"anthropic-beta": betas, "anthropic-version": "2023-06-01"},
    )
    request = asked(bedrock, one)
    assert request.url == (
        f"{HOST}/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream"
    )
    assert sent_json(request) == {
        "max_tokens": 5,
        "messages": [],
        "anthropic_version": "bedrock-2023-05-31",
        "anthropic_beta": ["context-1m-2025-08-07"],
    }
    everything = attempt(
        bedrock,
        "anthropic_messages",
        key=KEY,
        body=BODY,
        headers={"anthropic-beta": betas},
        settings={"betas": "*"},
    )
    told = sent_json(asked(bedrock, everything))["anthropic_beta"]
    assert told == ["context-1m-2025-08-07", "claude-code-20250219"]


@pytest.mark.parametrize(
    ("region", "chosen", "model", "profile"),
    [
        ("us-east-1", "", CLAUDE, f"us.{CLAUDE}"),
        ("us-gov-west-1", "", CLAUDE, f"us-gov.{CLAUDE}"),
        ("eu-central-1", "", CLAUDE, f"eu.{CLAUDE}"),
        ("ap-southeast-2", "", CLAUDE, f"apac.{CLAUDE}"),
        ("ap-southeast-2", "au", CLAUDE, f"au.{CLAUDE}"),
        ("sa-east-1", "", CLAUDE, f"global.{CLAUDE}"),
        ("us-east-1", "none", CLAUDE, CLAUDE),
        ("us-east-1", "", f"global.{CLAUDE}", f"global.{CLAUDE}"),
        ("us-east-1", "eu", PROFILE, PROFILE),
    ],
)
def test_the_profile_that_is_asked_for(region: str, chosen: str, model: str, profile: str) -> None:
    bedrock = Bedrock()
    one = attempt(
        bedrock,
        "anthropic_messages",
        model=model,
        key=f"A|S|{region}",
        settings={"inference_profile": chosen} if chosen else {},
    )
    quoted = profile.replace(":", "%3A").replace("/", "%2F")
    assert asked(bedrock, one).url.endswith(f".{region}.amazonaws.com/model/{quoted}/invoke")


@pytest.mark.parametrize("key", ["one", "a|b|c|us-east-1", "a|b|us-east-1.evil.example.com/", ""])
def test_a_key_of_another_form_goes_nowhere(key: str) -> None:
    upstream = Sent()
    assert answer(Bedrock(), attempt(Bedrock(), "openai_chat", key=key), upstream).status == 401
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("status", "message", "told"),
    [
        (400, "max_tokens: too many", (400, {"error": {"message": "max_tokens: too many"}})),
        (403, "You don't have access to the model", (403, None)),
        (403, "The security token included in the request is invalid.", (401, None)),
    ],
)
def test_a_complaint_is_told_in_the_envelope_of_the_formats(
    status: int, message: str, told: tuple[int, object]
) -> None:
    body = msgspec.json.encode({"message": message})
    upstream = Sent(lambda _: WholeAnswer(status, {}, body))
    one = attempt(Bedrock(), "anthropic_messages", model=CLAUDE, key=KEY)
    failure = answer(Bedrock(), one, upstream)
    assert failure.status == told[0]
    if told[1] is not None:
        assert msgspec.json.decode(asyncio.run(failure.read())) == told[1]


def test_a_stream_of_events_is_read_as_server_sent_events() -> None:
    stream = b"".join(chunk(event) for event in MESSAGE)
    headers = {"content-type": "application/vnd.amazon.eventstream"}
    upstream = Sent(lambda _: WholeAnswer(200, headers, stream))
    one = attempt(Bedrock(), "anthropic_messages", model=CLAUDE, key=KEY, is_stream=True)
    told = answer(Bedrock(), one, upstream)
    assert told.headers["content-type"] == "text/event-stream"
    assert asyncio.run(told.read()).startswith(b"event: message_start\ndata: {")
