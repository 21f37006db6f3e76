"""A gateway that is easily bored, with a real provider behind it; one for a module's tests."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from gateway.call.delivery import Drains
from gateway.call.relay import RelayLimits
from gateway.http.upstream import UpstreamTimeouts
from tests.bookkeeping import Books, Payer
from tests.calling import Client
from tests.fake_provider import FakeProvider, fake_provider, serving
from tests.faults.keyed_provider import KeyedProvider
from tests.running import InProcess, Served, in_process, served
from tests.servers import migrated_database
from tollgate import front
from tollgate.embedded.postgres import EmbeddedPostgres
from tollgate.embedded.valkey import EmbeddedValkey

MODEL = "model"
PROVIDER_KEY = "sk-provider-0123456789abcdef"
IN_NANOS, OUT_NANOS = 1_000, 2_000
"""What a token of `MODEL` costs."""


@dataclass
class Stage:
    """The gateway, its provider, and somebody who pays."""

    gateway: InProcess
    provider: FakeProvider
    payer: Payer
    owner_dsn: str
    sold: set[str] = field(default_factory=set)
    """Models that a module's tests have added."""
    models: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def books(self) -> Books:
        return self.gateway.books

    def new_model(self) -> str:
        """A model like `MODEL`, with a channel and a key of its own: a failure that takes the key
        away concerns no other test.
        """
        model = f"{MODEL}-{next(self.models)}"
        self.books.channel(
            [model], type_="openai", base_url=self.provider.base_url(), keys=[PROVIDER_KEY]
        )
        self.books.price(model, input=1, output=2)
        return model

    @property
    def client(self) -> Client:
        return self.gateway.client(self.payer.key)


@pytest.fixture(scope="module")
def provider() -> Iterator[FakeProvider]:
    with fake_provider() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_breaker_opens(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests ask a channel that fails again and again; those of breakers want them to open."""
    if not request.module.__name__.endswith("test_breakers"):
        monkeypatch.setattr("gateway.channels.health.FAILURES_LEAST", 1_000_000)


SECONDS = partial(UpstreamTimeouts, first_byte_s=0.6, whole_grace_s=0.5, whole_bytes_per_s=1_000)


@pytest.fixture(scope="module")
def stage(
    postgres_server: EmbeddedPostgres, valkey_server: EmbeddedValkey, provider: FakeProvider
) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        # Seconds instead of minutes.
        patch.setattr(front, "UpstreamTimeouts", SECONDS)
        patch.setattr(front, "RelayLimits", partial(RelayLimits, drains=Drains(within_s=0.8)))
        with (
            migrated_database(postgres_server) as database,
            in_process(
                database.app_dsn,
                valkey_server.url,
                streaming_timeout_s=1,
                trusted_proxies=["127.0.0.1/32"],
            ) as gateway,
        ):
            books = gateway.books
            base_url = provider.base_url()
            books.channel([MODEL], type_="openai", base_url=base_url, keys=[PROVIDER_KEY])
            books.price(MODEL, input=1, output=2)
            yield Stage(gateway, provider, books.payer(1_000), database.owner_dsn)


@pytest.fixture(scope="module")
def vendor() -> Iterator[KeyedProvider]:
    with serving(KeyedProvider()) as running:
        yield running


@pytest.fixture(scope="session")
def program() -> Iterator[Served]:
    """`tollgate serve` with two workers; whatever is done to it, its books stay right."""
    with served(workers=2) as running:
        yield running
        running.check_books()
        running.stop()
