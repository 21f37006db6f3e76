"""An image by its address, for a provider that takes bytes: fetched before anybody is asked, or
refused with nothing held.
"""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bookkeeping import Payer
from tests.calling import Answer
from tests.fake_provider import FakeProvider, fake_provider, whole
from tests.gateway import images
from tests.running import InProcess, in_process
from tests.servers import migrated_database
from tollgate.embedded.postgres import EmbeddedPostgres
from tollgate.embedded.valkey import EmbeddedValkey

MODEL = "sees"
PNG = images.png(64, 64)
ANSWER: dict[str, Any] = {
    "candidates": [{"content": {"parts": [{"text": "a cat"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11},
}


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    scripts = {
        "gemini/fine": whole(ANSWER),
        "image/fine": whole(PNG, headers={"content-type": "image/png"}),
        "page/fine": whole(b"<html>", headers={"content-type": "text/html"}),
        "gone/fine": whole(b"", status=404),
    }
    with fake_provider(scripts) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(
    postgres_server: EmbeddedPostgres, valkey_server: EmbeddedValkey, provider: FakeProvider
) -> Iterator[InProcess]:
    with (
        migrated_database(postgres_server) as database,
        in_process(database.app_dsn, valkey_server.url, media_networks=["127.0.0.1/32"]) as running,
    ):
        base_url = f"http://127.0.0.1:{provider.port}/gemini"
        running.books.channel([MODEL], type_="gemini", base_url=base_url, keys=["k"])
        running.books.price(MODEL, input=1, output=2)
        yield running


@pytest.fixture(scope="module")
def payer(gateway: InProcess) -> Payer:
    return gateway.books.payer(5)


def asked(gateway: InProcess, payer: Payer, url: str) -> Answer:
    content = [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    messages = [{"role": "user", "content": content}]
    return gateway.client(payer.key).chat(MODEL, messages=messages)


def test_an_image_is_fetched_and_sent_as_bytes(
    gateway: InProcess, payer: Payer, provider: FakeProvider
) -> None:
    answer = asked(gateway, payer, f"http://127.0.0.1:{provider.port}/image/cat.png")
    assert answer.status == 200, answer.body
    (fetched,) = provider.calls_of("image")
    assert "authorization" not in fetched.headers
    (sent,) = provider.calls_of("gemini")
    data = base64.b64encode(PNG).decode()
    parts = sent.json()["contents"][0]["parts"]
    assert {"inlineData": {"mimeType": "image/png", "data": data}} in parts
    settled = gateway.books.story(answer.request_id).settled
    assert settled.charged_nanos == 9 * 1_000 + 2 * 2_000


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("http://127.0.0.1:{port}/gone/cat.png", "is answered with status 404"),
        ("http://127.0.0.1:{port}/page/cat.png", "is said to be 'text/html'"),
        ("http://127.0.0.2:{port}/image/cat.png", "is not at a public address"),
        ("http://169.254.169.254/latest/meta-data", "is not at a public address"),
        ("http://[::ffff:10.0.0.1]/cat.png", "is not at a public address"),
    ],
)
def test_what_cannot_be_fetched_is_the_clients_mistake_and_costs_nothing(
    gateway: InProcess, payer: Payer, provider: FakeProvider, path: str, why: str
) -> None:
    before = len(provider.calls_of("gemini"))
    answer = asked(gateway, payer, path.format(port=provider.port))
    assert answer.status == 400, answer.body
    assert answer.code == "media_unavailable"
    message = answer.json()["error"]["message"]
    assert message.startswith("The image at 'http://")
    assert why in message
    assert len(provider.calls_of("gemini")) == before
    story = gateway.books.story(answer.request_id)
    assert story.names == ["QuotaReserved", "RefundIssued"]
    assert story.refunded.reason == "media_unavailable"
    assert story.refunded.attempts == ()
