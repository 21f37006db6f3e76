"""A11: a price in force is charged from the very next call on, whoever has seen it."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from ledger.pricing import Price
from ledger.streams import price
from ledger.streams.charge.events import QuotaReserved
from ledger.streams.price import PriceSet
from tests.bookkeeping import ACTOR, USD
from tests.faults.conftest import PROVIDER_KEY, Stage


def set_price(stage: Stage, model: str, usd: int) -> None:
    """Without waiting until anybody has seen it."""
    command = price.SetPrice(
        model, Price(rates={"input": usd * USD, "output": usd * USD}), 0, ACTOR
    )
    stage.books.command(price.STREAM, price.price_stream_id(model), command)


def test_a11_the_next_call_is_charged_by_it(stage: Stage) -> None:
    model = "changing"
    base_url = stage.provider.base_url()
    stage.books.channel([model], type_="openai", base_url=base_url, keys=[PROVIDER_KEY])
    stage.books.price(model, input=1, output=1)
    for usd in range(2, 12):
        set_price(stage, model, usd)
        answer = stage.client.chat(model)
        assert answer.status == 200, answer.body
        settled = stage.books.story(answer.request_id).settled
        assert settled.charged_nanos == 18 * usd * 1_000


def test_a11_no_hold_stands_in_the_log_behind_a_price_it_did_not_know(stage: Stage) -> None:
    """Calls without a pause, while the price changes again and again."""
    model = "restless"
    base_url = stage.provider.base_url()
    stage.books.channel([model], type_="openai", base_url=base_url, keys=[PROVIDER_KEY])
    stage.books.price(model, input=1, output=1)
    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(stage.client.chat, model) for _ in range(60)]
        for usd in range(2, 12):
            set_price(stage, model, usd)
        statuses = {one.result().status for one in asking}
    assert statuses <= {200, 503}
    assert 200 in statuses
    version, seen = 0, []
    for one in stage.books.log():
        event = one.event
        if isinstance(event, PriceSet) and event.model == model:
            version = one.version
        terms = event.terms if isinstance(event, QuotaReserved) else None
        if terms is not None and terms.model == model:
            assert terms.price_version == version
            seen.append(version)
    assert all(before <= after for before, after in pairwise(seen))
