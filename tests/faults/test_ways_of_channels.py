"""A channel's own way to its provider: taken, never left, and changed while the program runs."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_provider import FakeProvider
from tests.proxies import PassingProxy, passing
from tests.running import Served
from tests.scripted_servers import Then, answer, certificates, make_certificate, scripted

MODEL = "far/model"
WORDS = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"own"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}'
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls") / "both.pem")


@pytest.fixture
def proxy(certificate: Path) -> Iterator[PassingProxy]:
    with passing("http", certificate) as running:
        yield running


class Channel:
    """One that is taken away again."""

    def __init__(self, program: Served, **given: object) -> None:
        program.books.price(MODEL, input=1, output=2)
        told = {"name": "Far", "type": "openai", "keys": ["sk-far"], "models": [MODEL], **given}
        added = program.desk.call("POST", "/channels", told)
        assert added.status == 201, added
        self._program = program
        self.path = f"/channels/{added.json()['id']}"

    def __enter__(self) -> "Channel":
        return self

    def __exit__(self, *_: object) -> None:
        self._program.desk.call("DELETE", self.path)

    def change(self, **given: object) -> None:
        assert self._program.desk.call("PATCH", self.path, given).status == 200


def written(proxy: PassingProxy) -> str:
    port = proxy.listener.getsockname()[1]
    return f"http://us%3Aer:pass%20word@127.0.0.1:{port}"


def test_calls_pass_the_channels_proxy_and_fail_with_it(
    program: Served, provider: FakeProvider, proxy: PassingProxy
) -> None:
    key = program.books.payer().key
    with Channel(program, base_url=provider.base_url("far"), proxy=written(proxy)) as far:
        for _ in range(3):
            assert program.client(key).chat(MODEL).status == 200
        assert set(proxy.asked) == {f"POST {provider.base_url('far')}/chat/completions"}
        before = len(provider.received)
        proxy.says = b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n"
        proxy.drop()
        assert program.client(key).chat(MODEL).status == 502
        assert len(provider.received) == before
        far.change(proxy="", keys=["sk-far"])
        until_s = time.monotonic() + 5
        while program.client(key).chat(MODEL).status != 200 and time.monotonic() < until_s:
            time.sleep(0.05)
        assert len(provider.received) == before + 1


def test_the_channels_own_certificates_are_believed_and_its_patience_is_its_own(
    program: Served, certificate: Path
) -> None:
    key = program.books.payer().key
    with scripted([answer(WORDS), Then.HANG], certificate=certificate) as server:
        base_url = f"https://127.0.0.1:{server.port}/v1"
        with Channel(program, base_url=base_url):
            assert program.client(key).chat(MODEL).status == 502
            assert server.asked == []
        roots = certificates(certificate)
        with Channel(
            program, base_url=base_url, trusted_certificates=roots, first_byte_timeout_ms=400
        ):
            assert program.client(key).chat(MODEL).status == 200
    with scripted([Then.HANG]) as silent:
        base_url = f"http://127.0.0.1:{silent.port}/v1"
        with Channel(program, base_url=base_url, first_byte_timeout_ms=400):
            begun_s = time.monotonic()
            assert program.client(key).chat(MODEL).status == 504
            assert time.monotonic() - begun_s < 30
