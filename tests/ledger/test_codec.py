"""Stored bytes: every event reads back as it was, and the committed schemas describe it."""

import json
from importlib import resources
from typing import Any

import jsonschema
import msgspec
import pytest

from ledger.codec import decode, decoder_of, encode, schemas
from ledger.errors import UnknownTopic
from ledger.schemas.__main__ import text
from ledger.streams.contract import Event
from ledger.streams.registry import CLOSING_TOPICS, EVENT_OF_TOPIC, STREAM_OF, STREAMS
from tests.ledger.building import samples

SAMPLES = samples()
TOPICS = [sample.TOPIC for sample in SAMPLES]


def committed() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        (resources.files("ledger.schemas") / "events.json").read_text()
    )
    return loaded


def test_there_is_a_sample_of_every_event() -> None:
    assert sorted(TOPICS) == sorted(EVENT_OF_TOPIC)


def test_topics_name_stream_event_and_version_and_are_unique() -> None:
    assert len(EVENT_OF_TOPIC) == len(STREAM_OF)
    for event, stream in STREAM_OF.items():
        assert f"{stream.name}.{event.__name__}.v1" == event.TOPIC


def test_only_charges_are_closed() -> None:
    assert CLOSING_TOPICS == ("charge.UsageSettled.v1", "charge.RefundIssued.v1")
    assert sum(bool(stream.closing) for stream in STREAMS) == 1


@pytest.mark.parametrize("event", SAMPLES, ids=TOPICS)
def test_an_event_reads_back_as_it_was_and_writes_the_same_bytes(event: Event) -> None:
    state = encode(event)
    assert decode(event.TOPIC, state) == event
    assert encode(decode(event.TOPIC, state)) == state


@pytest.mark.parametrize("event", SAMPLES, ids=TOPICS)
def test_of_an_event_single_members_can_be_read(event: Event) -> None:
    for name in event.__struct_fields__:
        part = decoder_of(type(event), frozenset({name}))(encode(event))
        assert isinstance(part, type(event))
        assert part.TOPIC == event.TOPIC
        assert getattr(part, name) == getattr(event, name)
        for other in set(event.__struct_fields__) - {name}:
            check_unread(getattr(part, other))


def check_unread(value: Any) -> None:  # noqa: ANN401 - it stands for any member
    for look in (bool, list, hash, lambda it: it == 0, lambda it: it.amount_nanos):
        with pytest.raises((AttributeError, TypeError)):
            look(value)


def test_what_is_read_of_an_event_must_be_what_its_topic_says() -> None:
    state = b'{"account_id":"x","released_nanos":"no number","charged_nanos":7}'
    settled = EVENT_OF_TOPIC["charge.UsageSettled.v1"]
    part: Any = decoder_of(settled, frozenset({"charged_nanos"}))(state)
    assert part.charged_nanos == 7
    for members in ({"charged_nanos", "released_nanos"}, {"key_id"}):
        with pytest.raises(msgspec.ValidationError):
            decoder_of(settled, frozenset(members))(state)


@pytest.mark.parametrize("event", SAMPLES, ids=TOPICS)
def test_a_sample_sets_every_field(event: Event) -> None:
    assert {name for name, _ in json.loads(encode(event)).items()} >= set(
        event.__struct_fields__
    ) - {"streaming", "input_tokens_estimated", "output_tokens_max"}


@pytest.mark.parametrize("event", SAMPLES, ids=TOPICS)
def test_an_event_is_valid_by_its_committed_schema(event: Event) -> None:
    document = committed()
    schema = {"$defs": document["$defs"], **document["topics"][event.TOPIC]}
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(encode(event)), schema)


@pytest.mark.parametrize("event", SAMPLES, ids=TOPICS)
def test_a_schema_asks_for_every_field_without_a_default(event: Event) -> None:
    document = committed()
    schema = {"$defs": document["$defs"], **document["topics"][event.TOPIC]}
    with pytest.raises(jsonschema.ValidationError, match="is a required property"):
        jsonschema.validate({}, schema)


def test_the_committed_schemas_are_those_of_this_code() -> None:
    stale = "ledger/schemas/events.json is stale; run: python -m ledger.schemas"
    assert (resources.files("ledger.schemas") / "events.json").read_text() == text(), stale
    assert committed()["topics"].keys() == EVENT_OF_TOPIC.keys()
    assert schemas().keys() == committed().keys()


def test_fields_of_a_later_release_are_passed_over() -> None:
    for event in SAMPLES:
        state = json.loads(encode(event)) | {"of_a_later_release": 1}
        assert decode(event.TOPIC, json.dumps(state).encode()) == event


def test_an_unknown_topic_is_refused() -> None:
    with pytest.raises(UnknownTopic, match="NeverHeardOf"):
        decode("charge.NeverHeardOf.v1", b"{}")


def test_bytes_that_are_not_the_event_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode("charge.QuotaReserved.v1", b'{"hold_nanos": "1"}')


def test_maps_are_written_in_one_order() -> None:
    added = next(event for event in SAMPLES if event.TOPIC == "channel.ChannelAdded.v1")
    assert b'"models":{"a":"y","b":"x"}' in encode(added)
