"""Tokens that stand in for a key: fetched once, renewed in time, refused ones forgotten."""

import asyncio
from urllib.parse import parse_qs

import msgspec
import pytest

from gateway.errors import UpstreamFailed
from gateway.http.upstream import UpstreamAnswer, WholeAnswer
from gateway.providers.shared.access_tokens import (
    AccessTokens,
    Grant,
    KeyNotAccepted,
    exchanged,
    name_of,
)
from tests.gateway.providers.asking import FINE, Sent


class _Bank:
    """Gives tokens t1, t2, ...; remembers which were presented."""

    def __init__(self, *, lives_s: float = 3600, refused: tuple[str, ...] = ()) -> None:
        self.now_s = 0.0
        self.given = 0
        self.presented: list[str] = []
        self.refused = refused
        self.lives_s = lives_s
        self.tokens = AccessTokens(lambda: self.now_s)

    async def fetch(self) -> Grant:
        self.given += 1
        number = self.given
        await asyncio.sleep(0)
        return Grant(f"t{number}", self.lives_s)

    async def send(self, token: str) -> UpstreamAnswer:
        self.presented.append(token)
        return WholeAnswer(401, {}, b"") if token in self.refused else FINE

    async def ask(self, name: str = "a") -> int:
        return (await self.tokens.ask(name, self.fetch, self.send)).status


def test_many_who_ask_at_once_share_one_token() -> None:
    async def run(bank: _Bank) -> None:
        assert await asyncio.gather(*(bank.ask() for _ in range(20))) == [200] * 20
        assert (bank.given, set(bank.presented)) == (1, {"t1"})
        await bank.ask("another key")
        assert bank.given == 2

    asyncio.run(run(_Bank()))


def test_one_who_leaves_takes_the_token_from_nobody() -> None:
    async def run(bank: _Bank) -> None:
        leaver, stayer = asyncio.create_task(bank.ask()), asyncio.create_task(bank.ask())
        await asyncio.sleep(0)
        leaver.cancel()
        assert await stayer == 200
        assert bank.given == 1

    asyncio.run(run(_Bank()))


@pytest.mark.parametrize(("lives_s", "renewed_s"), [(3600, 3300), (60, 30)])
def test_a_token_is_renewed_before_its_end(lives_s: float, renewed_s: float) -> None:
    async def run(bank: _Bank) -> None:
        for bank.now_s in (0, renewed_s - 1, renewed_s, renewed_s + 1):
            await bank.ask()
        assert bank.presented == ["t1", "t1", "t2", "t2"]

    asyncio.run(run(_Bank(lives_s=lives_s)))


def test_a_kept_token_that_is_refused_is_replaced_once() -> None:
    async def run(bank: _Bank) -> None:
        await bank.ask()
        bank.refused = ("t1",)
        assert await bank.ask() == 200
        assert bank.presented == ["t1", "t1", "t2"]
        bank.refused = ("t1", "t2", "t3")
        assert await bank.ask() == 401
        assert bank.presented[3:] == ["t2", "t3"]

    asyncio.run(run(_Bank()))


def test_a_failed_fetch_is_told_to_all_who_wait_and_tried_anew_by_the_next() -> None:
    async def run(bank: _Bank) -> None:
        async def fails() -> Grant:
            await asyncio.sleep(0)
            raise UpstreamFailed("away")

        asking = [bank.tokens.ask("a", fails, bank.send) for _ in range(3)]
        told = await asyncio.gather(*asking, return_exceptions=True)
        assert [type(one) for one in told] == [UpstreamFailed] * 3
        assert await bank.ask() == 200

    asyncio.run(run(_Bank()))


def test_a_refused_key_is_told_as_the_provider_would() -> None:
    async def run(bank: _Bank) -> None:
        async def refuses() -> Grant:
            raise KeyNotAccepted("no")

        assert (await bank.tokens.ask("a", refuses, bank.send)).status == 401
        assert bank.presented == []

    asyncio.run(run(_Bank()))


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, {"error": "invalid_grant", "error_description": "secret"}, KeyNotAccepted),
        (401, {"error": "invalid_client"}, KeyNotAccepted),
        (503, {}, UpstreamFailed),
        (200, {"access_token": "two words"}, UpstreamFailed),
        (200, {"token": "x"}, UpstreamFailed),
    ],
)
def test_answers_without_a_token(status: int, body: object, error: type[Exception]) -> None:
    upstream = Sent(lambda _: WholeAnswer(status, {}, msgspec.json.encode(body)))
    with pytest.raises(error) as raised:
        asyncio.run(exchanged(upstream, "https://t.example.com", {"a": "s3cret"}))  # type: ignore[arg-type]
    assert "s3cret" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_form_is_sent_and_its_token_read() -> None:
    body = b'{"access_token": "ya29.x", "expires_in": "599", "token_type": "Bearer"}'
    upstream = Sent(lambda _: WholeAnswer(200, {}, body))
    form = {"grant_type": "client_credentials", "scope": "a b&c"}
    grant = asyncio.run(exchanged(upstream, "https://t.example.com", form))  # type: ignore[arg-type]
    assert grant == Grant("ya29.x", 599)
    assert parse_qs(upstream.requests[0].body.decode()) == {k: [v] for k, v in form.items()}


def test_a_name_says_which_key_and_not_what_key() -> None:
    assert name_of("ab", "c") != name_of("a", "bc")
    assert "key" not in name_of("key")
