"""What goes wrong, as the clients' own SDKs tell it: each raises its proper exception, learns
nothing of the provider, and the charge closes once."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from ledger.streams.charge.events import RefundIssued
from tests.bookkeeping import Payer
from tests.conformance import node_clients
from tests.conformance.failing import KEY, SECRETS, STREAMED, WHOLE, FailingProvider
from tests.conformance.reached import CHANNELS
from tests.fake_provider import serving
from tests.running import InProcess

STATUS_TOLD = {
    "400": 400,
    "401": 503,  # it is our key that is refused
    "404": 404,
    "429": 429,
    "500": 502,
    "529": 429,  # nobody there takes a call for a while
    "html-page": 502,
    "html-200": 502,
    "empty-200": 502,
}
SDK_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("BadRequestError", "ClientError"),
    401: ("AuthenticationError", "ClientError"),
    404: ("NotFoundError", "ClientError"),
    429: ("RateLimitError", "ClientError"),
    502: ("InternalServerError", "ServerError"),
    503: ("InternalServerError", "ServerError"),
}
"""By status: the exception of the SDKs of OpenAI and Anthropic, and of Google's."""


def is_of_key(format_name: str, failure: str) -> bool:
    """Whether the key that is asked is out of use then, or left alone for a while: there is one
    for each SDK.
    """
    is_overload = (format_name, failure) == ("anthropic_messages", "error-inside")
    return is_overload or failure in ("401", "429", "529")


def model_of(format_name: str, failure: str, sdk: str) -> str:
    """Its provider speaks that format."""
    name = f"{format_name}.{failure}"
    return f"{name}.{sdk}" if is_of_key(format_name, failure) else name


@dataclass(frozen=True, slots=True)
class Failing:
    """A gateway before providers that fail, who pays, and clients by SDK and key."""

    gateway: InProcess
    payer: Payer
    poor: Payer
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def call(self, sdk: str, key: str, model: str, is_stream: bool) -> None:
        """Ask something by an SDK, and read all of the answer."""
        kind = SDKS[sdk]
        if (sdk, key) not in self.clients:  # it takes long to make one
            self.clients[sdk, key] = kind.client(self.gateway.base_url, key)
        kind.ask(self.clients[sdk, key], model, is_stream)

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


@pytest.fixture(scope="module")
def failing(gateway: InProcess) -> Iterator[Failing]:
    books = gateway.books
    with serving(FailingProvider()) as provider:
        for format_name, (type_, _) in CHANNELS.items():
            version = "/v1" if format_name.startswith("openai") else ""
            address = f"http://127.0.0.1:{provider.port}/{format_name}{version}"
            for failure in (*WHOLE, *STREAMED):
                names = {model_of(format_name, failure, sdk) for sdk in SDKS}
                for model in names:
                    books.channel({model: failure}, type_=type_, base_url=address, keys=[KEY])
                    books.price(model, input=3, output=15)
        running = Failing(gateway, books.payer(50), books.payer(0.000_001))
        with contextlib.closing(running):
            yield running


# ---------------------------------------------------------------------- in Python


def openai_client(base_url: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(api_key=key, base_url=f"{base_url}/v1", max_retries=0)


def anthropic_client(base_url: str, key: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key=key, base_url=base_url, max_retries=0)


def google_client(base_url: str, key: str) -> genai.Client:
    options = types.HttpOptions(base_url=base_url, timeout=20_000)
    return genai.Client(api_key=key, http_options=options)


MESSAGES: Any = [{"role": "user", "content": "x"}]


def chat(client: openai.OpenAI, model: str, is_stream: bool) -> None:
    list(client.chat.completions.create(model=model, messages=MESSAGES, stream=is_stream))


def responses(client: openai.OpenAI, model: str, is_stream: bool) -> None:
    list(client.responses.create(model=model, input="x", stream=is_stream))


def messages(client: anthropic.Anthropic, model: str, is_stream: bool) -> None:
    list(client.messages.create(model=model, messages=MESSAGES, max_tokens=9, stream=is_stream))


def gemini(client: genai.Client, model: str, is_stream: bool) -> None:
    if is_stream:
        list(client.models.generate_content_stream(model=model, contents="x"))
    else:
        client.models.generate_content(model=model, contents="x")


@dataclass(frozen=True, slots=True)
class Sdk:
    """How to make a client and ask with it; where its exceptions are, and the root of those."""

    client: Callable[[str, str], Any]
    ask: Callable[[Any, str, bool], None]
    exceptions: Any
    root: type[Exception]


SDKS = {
    "chat": Sdk(openai_client, chat, openai, openai.APIError),
    "responses": Sdk(openai_client, responses, openai, openai.APIError),
    "messages": Sdk(anthropic_client, messages, anthropic, anthropic.APIError),
    "gemini": Sdk(google_client, gemini, errors, errors.APIError),
}
EVERY_SDK = pytest.mark.parametrize("sdk", SDKS)
EVERY_FORMAT = pytest.mark.parametrize("format_name", CHANNELS)


def expected(sdk: str, status: int) -> Any:  # noqa: ANN401 - an exception of the SDK's
    return getattr(SDKS[sdk].exceptions, SDK_ERRORS[status][sdk == "gemini"])


@EVERY_SDK
@EVERY_FORMAT
@pytest.mark.parametrize("failure", WHOLE)
def test_a_providers_failure(failing: Failing, sdk: str, format_name: str, failure: str) -> None:
    books, payer = failing.gateway.books, failing.payer
    before = len(books.stories(payer.account_id))
    with pytest.raises(expected(sdk, STATUS_TOLD[failure])) as caught:
        failing.call(sdk, payer.key, model_of(format_name, failure, sdk), False)
    assert_tells_no_secret(caught.value)
    (story,) = books.stories(payer.account_id)[before:]
    assert isinstance(story.closing, RefundIssued)


@EVERY_SDK
@EVERY_FORMAT
@pytest.mark.parametrize("failure", STREAMED)
def test_a_stream_that_fails(failing: Failing, sdk: str, format_name: str, failure: str) -> None:
    books, payer = failing.gateway.books, failing.payer
    before = len(books.stories(payer.account_id))
    with pytest.raises(SDKS[sdk].root) as caught:
        failing.call(sdk, payer.key, model_of(format_name, failure, sdk), True)
    assert_tells_no_secret(caught.value)
    (story,) = books.stories(payer.account_id)[before:]
    assert story.closing is story.events[-1].event


@EVERY_SDK
def test_a_refusal_of_ours(failing: Failing, sdk: str) -> None:
    model = model_of("openai_chat", "500", sdk)
    poor = anthropic.PaymentRequiredError if sdk == "messages" else expected(sdk, 429)
    rows = [
        ("sk-none", model, expected(sdk, 401)),
        (failing.payer.key, "unknown", expected(sdk, 404)),
        (failing.poor.key, model, poor),
    ]
    for key, asked, exception in rows:
        with pytest.raises(exception):
            failing.call(sdk, key, asked, False)
    assert failing.gateway.books.stories(failing.poor.account_id) == []


def assert_tells_no_secret(error: BaseException) -> None:
    told = f"{error!r} {vars(error)}"
    assert not [secret for secret in SECRETS if secret in told]


# ---------------------------------------------------------------------- for Node


@pytest.fixture(scope="module")
def told_to_node(
    failing: Failing,
    node: None,  # noqa: ARG001 - it is installed
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[dict[str, Any]]]:
    """What each API's calls of each model came to."""
    rows = [
        {"model": model_of(format_name, failure, ""), "isStream": failure in STREAMED}
        for format_name in CHANNELS
        for failure in (*WHOLE, *STREAMED)
        if not is_of_key(format_name, failure)
    ]
    given = {
        "baseUrl": failing.gateway.base_url,
        "key": failing.payer.key,
        "rows": rows,
        "refusals": [
            {"key": "sk-none", "model": rows[0]["model"], "status": 401},
            {"key": failing.payer.key, "model": "unknown", "status": 404},
        ],
    }
    before = len(failing.gateway.books.stories(failing.payer.account_id))
    command = [str(node_clients.NODE), str(node_clients.HERE / "errors.mjs"), json.dumps(given)]
    done = node_clients.run(command, home=Path(tmp_path_factory.mktemp("node")))
    stories = failing.gateway.books.stories(failing.payer.account_id)[before:]
    assert all(story.closing is story.events[-1].event for story in stories)
    assert len(stories) == 4 * len(rows)
    told: dict[str, list[dict[str, Any]]] = {}
    for line in done.stdout.splitlines():
        one = json.loads(line)
        told.setdefault(one["api"], []).append(one)
    return told


@pytest.mark.parametrize("api", ["chat", "responses", "messages", "gemini"])
def test_failures_raise_the_errors_of_the_sdks_for_node(
    told_to_node: dict[str, list[dict[str, Any]]], api: str
) -> None:
    for one in told_to_node[api]:
        assert not [secret for secret in SECRETS if secret in json.dumps(one)], one
        failure = one["model"].rpartition(".")[2]
        if failure in STREAMED:
            assert one["isOwn"], one
            continue
        status = one.get("expected") or STATUS_TOLD[failure]
        assert one["status"] == status, one
        assert one["type"] == ("ApiError" if api == "gemini" else SDK_ERRORS[status][0]), one
