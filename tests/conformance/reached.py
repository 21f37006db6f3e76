"""`tollgate serve` before an obedient provider of each format, and what clients did with it."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ledger.pricing import Price
from ledger.streams import price
from ledger.streams.charge.events import RefundIssued
from ledger.usage import Usage
from tests.bookkeeping import ACTOR, USD, ChargeStory, Payer
from tests.conformance import node_clients, python_clients
from tests.fake_provider import serving
from tests.obedient.provider import (
    FORMATS,
    PICTURE_PATH,
    THINKING_CHAT,
    Exchange,
    ObedientProvider,
)
from tests.running import Served, served

MODELS = {f"over-{format_name}": format_name for format_name in FORMATS}
"""By the name that clients use: the format of the provider behind it."""

THINKING_MODEL = f"over-{THINKING_CHAT}"
"""One more for the tools that carry out tasks: its vendor wants to be sent its thoughts."""
_ALL_MODELS = {**MODELS, THINKING_MODEL: THINKING_CHAT}
CHANNELS = {
    "openai_chat": ("openai", "gpt-5.1"),
    "openai_responses": ("openai_responses", "gpt-5.1"),
    "anthropic_messages": ("anthropic", "claude-sonnet-4-5"),
    "gemini": ("gemini", "gemini-3-pro-preview"),
}
"""Of a format's channel: its type, and the provider's name for the model."""
_ALL_CHANNELS = {**CHANNELS, THINKING_CHAT: ("openai", "deepseek-v4-pro")}
NEAR = {"MEDIA_FETCH_ALLOWED_NETWORKS": "127.0.0.1/32"}
"""Pictures of the tests lie on this machine, where nothing is fetched from otherwise."""
PYTHON = "python"
"""The SDKs for Python, in one script."""
SECRET = "secret-of-the-provider"


@dataclass(frozen=True, slots=True)
class Reached:
    """The running program, the providers behind it, and who pays."""

    gateway: Served
    provider: ObedientProvider
    payer: Payer

    @property
    def picture_url(self) -> str:
        """Where a picture lies: providers are told, or the gateway fetches it for them."""
        return f"http://127.0.0.1:{self.provider.port}{PICTURE_PATH}"

    def stories(self) -> list[ChargeStory]:
        """Every charge, in the order of their opening; but those of calls that were not admitted:
        a tool that is asked to come again does so, and nobody sees it.
        """
        told = self.gateway.books.stories(self.payer.account_id)
        return [story for story in told if not was_not_admitted(story)]

    def take_refused(self) -> list[str]:
        """What the providers refused since they were last asked: it was ill-formed."""
        refused, self.provider.refused = self.provider.refused, []
        return refused


def was_not_admitted(story: ChargeStory) -> bool:
    """Whether the hold was stored so late that its call had been refused."""
    closing = story.events[-1].event
    return isinstance(closing, RefundIssued) and closing.reason == "not_admitted"


@dataclass(frozen=True, slots=True)
class Line:
    """What an SDK told of a scenario, what the provider saw of it, and what was billed for it."""

    model: str
    scenario: str
    told: dict[str, Any]
    error: dict[str, Any] | None
    exchanges: Sequence[Exchange]
    billed: Sequence[Usage]


@contextlib.contextmanager
def reached() -> Iterator[Reached]:
    """All of it, with a channel and a price for each of `MODELS`."""
    with serving(ObedientProvider()) as provider, served(environment=NEAR) as gateway:
        books = gateway.books
        rates = {"input": 3 * USD, "cache_read": USD, "output": 15 * USD}
        for model in _ALL_MODELS:
            command = price.SetPrice(model, Price(rates=rates), 0, ACTOR)
            books.command(price.STREAM, price.price_stream_id(model), command)
        payer = books.payer(500)
        for model, format_name in _ALL_MODELS.items():
            type_, upstream_model = _ALL_CHANNELS[format_name]
            version = "/v1" if type_.startswith("openai") else ""
            books.channel(
                {model: upstream_model},
                type_=type_,
                base_url=f"http://127.0.0.1:{provider.port}/{format_name}{version}",
                keys=[SECRET],
            )
        yield Reached(gateway, provider, payer)


def run_sdk(everywhere: Reached, script: str) -> dict[tuple[str, str], Line]:
    """Every scenario of a script of `tests/conformance/node`, or of PYTHON, by model and name."""
    before = len(everywhere.provider.exchanges)
    if script == PYTHON:
        key = everywhere.payer.key
        try:
            lines = python_clients.run(
                everywhere.gateway.base_url, key, MODELS, everywhere.picture_url
            )
        except Exception as error:
            raise AssertionError(everywhere.take_refused()) from error
    else:
        lines = _run_script(everywhere, script)
    assert everywhere.take_refused() == []
    exchanges = everywhere.provider.exchanges[before:]
    return {(line["model"], line["scenario"]): _line(everywhere, line, exchanges) for line in lines}


def _run_script(everywhere: Reached, script: str) -> list[dict[str, Any]]:
    given = {
        "baseUrl": everywhere.gateway.base_url,
        "key": everywhere.payer.key,
        "models": list(MODELS),
        "pictureUrl": everywhere.picture_url,
    }
    with TemporaryDirectory() as home:
        done = node_clients.run(
            [str(node_clients.NODE), str(node_clients.HERE / script), json.dumps(given)],
            home=Path(home),
        )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _line(everywhere: Reached, line: dict[str, Any], exchanges: Sequence[Exchange]) -> Line:
    mark = f"{line['scenario']}@{line['model']}"
    stories = [everywhere.gateway.books.story(request_id) for request_id in line["requests"]]
    return Line(
        model=line["model"],
        scenario=line["scenario"],
        told=line.get("told", {}),
        error=line.get("error"),
        exchanges=[one for one in exchanges if one.asked.marker == mark],
        billed=[story.settled.usage for story in stories],
    )
