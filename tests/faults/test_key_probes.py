"""C5: keys that are out of use are asked whether they work again, and what that costs is booked."""

from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from gateway.call import key_probes
from gateway.call.charges.own_charges import OWN_ACCOUNT
from gateway.call.key_probes import KeyProbes
from gateway.http.client.clients import ProviderClients
from gateway.media.egress import Egress
from gateway.providers.openai import OpenAI
from ledger.alarms import alarms
from ledger.fsck import check_ledger
from ledger.pricing import Price
from ledger.streams import channel, price
from ledger.streams.channel import ChannelKeyStateChanged, KeyState
from ledger.streams.charge.events import Cost
from ledger.streams.registry import stream_of
from ledger.streams.routes import Way
from ledger.usage import Usage
from tests.bookkeeping import ACTOR
from tests.fake_provider import HANG, Script, completion, error, whole
from tests.faults.conftest import Stage
from tests.faults.keyed_provider import KeyedProvider
from tests.proxies import passing
from tests.running import until
from tests.scripted_servers import make_certificate
from tollgate.processes.key_probing import probe_parts

FINE = whole()
REFUSED = whole(error("bad key"), status=401)
BROKE = whole(error("Insufficient Balance"), status=402)
COST = 11 * 500 + 7 * 1_000
"""What `FINE` costs us, in nanodollars."""


@dataclass
class Prober:
    """Of another process than that which serves."""

    stage: Stage
    vendor: KeyedProvider
    lists_here: bool = False
    """Whether the vendor's own address is where the tests' vendor is."""

    def probe(self, *, minutes: float = 61.0) -> None:
        """Whatever is due when so many minutes have passed."""
        self.stage.gateway.loop.run(self._look())
        self._pass(minutes)
        self.stage.gateway.loop.run(self._look())

    async def _look(self) -> None:
        upstreams, egress = ProviderClients(), Egress()
        core = self.stage.gateway.core
        parts = probe_parts(core, "prober", upstreams, egress)
        if self.lists_here:
            own = OpenAI()
            own.base_url = self.vendor.base_url()
            parts = replace(parts, providers={**parts.providers, "openai": own})
        try:
            await KeyProbes(parts).look()
            await core.desk().up_to_date()
        finally:
            await upstreams.close()
            await egress.close()

    def _pass(self, minutes: float) -> None:
        with psycopg.connect(self.stage.owner_dsn) as connection:
            connection.execute(
                "update operations.key_probe set due_at = due_at - make_interval(secs => %s)",
                (60.0 * minutes,),
            )


class Out:
    """A channel with one key that is out of use."""

    def __init__(
        self,
        stage: Stage,
        vendor: KeyedProvider,
        script: Script,
        state: KeyState,
        reason: str,
        *,
        models: tuple[str, ...] = (),
        way: Way | None = None,
    ) -> None:
        self.stage, self.vendor = stage, vendor
        self.key = f"probed-{len(vendor.of_key)}"
        self.models = models or (f"of-{self.key}",)
        vendor.of_key[self.key] = script
        books = stage.books
        self.channel_id = books.channel(
            list(self.models),
            type_="openai",
            base_url=vendor.base_url(),
            keys=[self.key],
            way=way,
        )
        for number, model in enumerate(self.models):
            books.price(model, input=1 + number, output=2)
        held = stage.gateway.core.configuration.held.channels
        (self.key_id,) = held[self.channel_id].route.key_ids
        self.command(
            channel.PauseKey(self.key_id, ACTOR, reason)
            if state == "paused"
            else channel.MarkKey(self.key_id, state, "node:a", reason)  # type: ignore[arg-type]
        )

    def command(self, command: object) -> None:
        self.stage.books.command(channel.STREAM, self.channel_id, command, seen=True)

    def costs(self) -> None:
        book = price.cost_book(self.channel_id)
        rates = {"input": 500 * 10**6, "output": 10**9}
        command = price.SetPrice(self.models[0], Price(rates=rates), 0, ACTOR, book=book)
        stream_id = price.price_stream_id(self.models[0], book)
        self.stage.books.command(price.STREAM, stream_id, command, seen=True)

    @property
    def state(self) -> KeyState:
        held = self.stage.gateway.core.configuration.held.channels
        return held[self.channel_id].key_state(self.key_id)

    def events(self) -> list[tuple[str, str, str]]:
        return [
            (one.event.state, one.event.reason, one.event.actor)
            for one in self.stage.books.log()
            if isinstance(one.event, ChannelKeyStateChanged) and one.stream_id == self.channel_id
        ]

    def asked(self) -> list[tuple[str, str]]:
        """Method and path of everything the vendor was asked with the key."""
        sent = f"Bearer {self.key}"
        return [
            (one.method, one.path)
            for one in self.vendor.received
            if one.headers["authorization"] == sent
        ]


CHAT = ("POST", "/a/v1/chat/completions")
LIST = ("GET", "/a/v1/models")


def test_c5_a_key_that_works_again_is_used_again_and_its_token_is_booked(
    stage: Stage, vendor: KeyedProvider
) -> None:
    out = Out(stage, vendor, FINE, "out_of_money", "provider_status_402")
    out.costs()
    assert stage.client.chat(out.models[0]).status == 503
    Prober(stage, vendor).probe()
    assert out.asked() == [CHAT]
    sent = vendor.received[-1].json()
    assert sent["max_tokens"] == 1
    assert out.state == "usable"
    assert out.events()[-1] == ("usable", "probe_answered", "node:prober")
    assert stage.client.chat(out.models[0]).status == 200

    (story,) = [
        one
        for one in stage.books.stories(OWN_ACCOUNT)
        if one.refunded.attempts[0].channel_id == out.channel_id
    ]
    assert (story.opening.hold_nanos, story.refunded.reason) == (0, "key_probe")
    (attempt,) = story.refunded.attempts
    book = price.cost_book(out.channel_id)
    assert attempt.cost == Cost(book=book, price_version=1, amount_nanos=COST)
    assert (attempt.usage, attempt.outcome) == (Usage(input=11, output=7, calls=1), "answered")
    postings = dict(stream_of(story.refunded).postings(story.refunded))
    assert (postings["provider_cost"], postings["clearing:providers"]) == (-COST, COST)
    assert alarms(story.refunded) == []
    balance = stage.books.balance(OWN_ACCOUNT)
    assert (balance.posted_nanos, balance.held_nanos) == (0, 0)
    assert list(check_ledger(stage.gateway.app_dsn)) == []


@pytest.mark.parametrize("reason", ["provider_status_401", "provider_status_402"])
def test_c5_a_probe_goes_the_channels_own_way(
    stage: Stage, vendor: KeyedProvider, tmp_path: Path, reason: str
) -> None:
    certificate = make_certificate(tmp_path / "both.pem")
    with passing("http", certificate) as proxy:
        address = f"http://127.0.0.1:{proxy.listener.getsockname()[1]}"
        out = Out(stage, vendor, FINE, "refused", reason, way=Way(proxy=address))
        Prober(stage, vendor, lists_here=True).probe()
        assert len(out.asked()) == len(proxy.asked) == 1
        assert out.state == "usable"


ROWS: dict[str, tuple[KeyState, str, Script, KeyState]] = {
    "still refused": ("refused", "provider_status_401", REFUSED, "refused"),
    "still no money": ("out_of_money", "quota_used_up", BROKE, "out_of_money"),
    "refused, now without money": ("refused", "provider_status_403", BROKE, "out_of_money"),
    "no money, now refused": ("out_of_money", "provider_status_402", REFUSED, "refused"),
    "refused, now only limited": (
        "refused",
        "provider_status_403",
        whole(error(), status=429),
        "usable",
    ),
    "no money, limited says nothing": (
        "out_of_money",
        "quota_used_up",
        whole(error(), status=429),
        "out_of_money",
    ),
    "a fault of the vendor": ("refused", "x", whole(error(), status=500), "refused"),
    "no such model": ("refused", "x", whole(error("no model"), status=404), "refused"),
    "no answer at all": ("out_of_money", "x", (HANG,), "out_of_money"),
    "not to be read": ("out_of_money", "x", whole(b"<html>"), "out_of_money"),
    "paused by hand": ("paused", "rotated", FINE, "paused"),
}


@pytest.mark.parametrize("name", ROWS)
def test_c5_a_probes_answer_changes_the_state_by_the_table(
    stage: Stage, vendor: KeyedProvider, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_probes, "_WITHIN_S", 0.5)
    before, reason, script, after = ROWS[name]
    out = Out(stage, vendor, script, before, reason)
    Prober(stage, vendor).probe()
    assert out.asked() == ([] if before == "paused" else [CHAT])
    assert out.state == after
    assert len(out.events()) == (1 if before == after else 2)
    out.command(channel.ResumeKey(out.key_id, ACTOR))  # no later test probes it


@pytest.mark.parametrize(
    ("script", "asked", "after"),
    [
        (whole({"data": []}), [LIST], "usable"),
        (REFUSED, [LIST], "refused"),
        (whole(error(), status=503), [LIST], "refused"),
        (whole(error("Missing scopes: api.model.read"), status=403), [LIST, CHAT], "refused"),
    ],
    ids=["good", "bad", "ill", "may not list"],
)
def test_c5_whether_a_key_is_accepted_the_list_of_models_tells_for_nothing(
    stage: Stage,
    vendor: KeyedProvider,
    script: Script,
    asked: list[tuple[str, str]],
    after: KeyState,
) -> None:
    out = Out(stage, vendor, script, "refused", "provider_status_401")
    charges = len(stage.books.stories(OWN_ACCOUNT))
    Prober(stage, vendor, lists_here=True).probe()
    assert (out.asked(), out.state) == (asked, after)
    assert len(stage.books.stories(OWN_ACCOUNT)) == charges, "a refusal costs nothing"
    out.command(channel.ResumeKey(out.key_id, ACTOR))


def test_c5_whether_there_is_money_the_list_of_models_does_not_tell(
    stage: Stage, vendor: KeyedProvider
) -> None:
    out = Out(stage, vendor, BROKE, "out_of_money", "provider_status_402")
    Prober(stage, vendor, lists_here=True).probe()
    assert (out.asked(), out.state) == ([CHAT], "out_of_money")
    out.command(channel.ResumeKey(out.key_id, ACTOR))


def test_c5_a_channel_that_is_paused_by_hand_is_not_probed(
    stage: Stage, vendor: KeyedProvider
) -> None:
    out = Out(stage, vendor, FINE, "refused", "provider_status_403")
    out.command(channel.Pause(ACTOR))
    Prober(stage, vendor).probe()
    assert (out.asked(), out.state) == ([], "refused")
    out.command(channel.Resume(ACTOR))
    Prober(stage, vendor).probe()
    assert (out.asked(), out.state) == ([CHAT], "usable")


def test_c5_each_probe_asks_another_model_the_cheapest_first(
    stage: Stage, vendor: KeyedProvider
) -> None:
    models = ("probe-cheap", "probe-dear", "text-embedding-probe")
    out = Out(stage, vendor, BROKE, "out_of_money", "provider_status_402", models=models)
    for _ in range(3):
        Prober(stage, vendor).probe()
    of_key = (one for one in vendor.received if one.headers["authorization"][7:] == out.key)
    sent = [one.json()["model"] for one in of_key]
    assert sent == ["probe-cheap", "probe-dear", "probe-cheap"]
    out.command(channel.ResumeKey(out.key_id, ACTOR))


def test_c5_a_model_that_thinks_is_asked_as_it_takes_it(
    stage: Stage, vendor: KeyedProvider
) -> None:
    models = ("gpt-5-probe",)
    out = Out(stage, vendor, FINE, "refused", "provider_status_403", models=models)
    Prober(stage, vendor).probe()
    sent = vendor.received[-1].json()
    assert ("max_tokens" in sent, sent["max_completion_tokens"], out.state) == (False, 16, "usable")


def test_c5_an_answer_that_tells_no_usage_is_booked_by_estimate(
    stage: Stage, vendor: KeyedProvider
) -> None:
    out = Out(stage, vendor, whole(completion(usage=None)), "refused", "provider_status_403")
    Prober(stage, vendor).probe()
    assert out.state == "usable"
    story = stage.books.stories(OWN_ACCOUNT)[-1]
    (attempt,) = story.refunded.attempts
    assert (attempt.basis, attempt.channel_id) == ("estimated", out.channel_id)
    assert attempt.usage == Usage(input=9, output=1, calls=1)


def test_c5_one_that_was_brought_back_by_hand_meanwhile_stays_so(
    stage: Stage, vendor: KeyedProvider
) -> None:
    out = Out(stage, vendor, (0.5, *REFUSED), "out_of_money", "provider_status_402")
    prober = Prober(stage, vendor)
    prober.probe(minutes=0)
    prober._pass(61)
    probing = stage.gateway.loop.start(prober._look())
    until(lambda: out.asked() == [CHAT], 5, "it is being asked")
    out.command(channel.ResumeKey(out.key_id, ACTOR))
    probing.result(10)
    assert out.state == "usable"
    assert [state for state, *_ in out.events()] == ["out_of_money", "usable"]
