"""Media by address, where a provider takes bytes alone: found, fetched, and put in its place."""

import asyncio
import base64
import json
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.conversation.parts import Address, Inline, Media, Text, ToolResult
from gateway.conversation.reasoning_suffixes import Suffix
from gateway.conversation.request import Conversation, Message
from gateway.errors import MediaUnavailable
from gateway.formats.registry import FORMATS
from gateway.formats.translator import Asking, Translators
from gateway.formats.values import ChatCall
from gateway.media.addressed import MediaNeeded, takes_nothing, to_fetch, with_bytes
from gateway.media.egress import Budget, Egress, EgressLimits, Fetched
from gateway.media.fetch import MEDIA_MAX, MediaFetch
from tests.gateway import images

URL = "https://example.org/cat.png?signature=secret"
PNG = Inline(media_type="image/png", data=base64.b64encode(images.png(3, 4)).decode())


def image(url: str = URL, kind: Any = "image") -> Media:  # noqa: ANN401 - one of the literals
    return Media(kind=kind, source=Address(url=url))


def talk(*parts: Any) -> Conversation:  # noqa: ANN401 - parts
    message = Message(role="user", parts=(Text(text="see"), *parts))
    return Conversation(format="openai_chat", messages=(message,))


def test_addresses_are_found_wherever_they_stand_and_replaced_there() -> None:
    result = ToolResult(call_id="c", content=(Text(text="t"), image("https://b/2")))
    whole = talk(image("https://a/1"), result, Media(kind="image", source=PNG))
    found = to_fetch(whole, takes_nothing)
    assert [media.source.url for media in found] == ["https://a/1", "https://b/2"]  # type: ignore[union-attr]
    with pytest.raises(MediaNeeded) as needed:
        with_bytes(whole, {"https://a/1": PNG}, takes_nothing)
    assert needed.value.media == (image("https://b/2"),)
    filled = with_bytes(whole, {"https://a/1": PNG, "https://b/2": PNG}, takes_nothing)
    assert to_fetch(filled, takes_nothing) == ()
    parts = filled.messages[0].parts
    assert parts[1] == Media(kind="image", source=PNG)
    assert isinstance(parts[2], ToolResult)
    assert parts[2].content[1] == Media(kind="image", source=PNG)
    assert with_bytes(whole, {}, lambda media: True) is whole  # noqa: ARG005


@pytest.mark.parametrize(
    ("format_name", "kind", "url", "takes"),
    [
        ("openai_chat", "image", "https://a/1", True),
        ("openai_chat", "document", "https://a/1", False),
        ("openai_chat", "audio", "https://a/1", False),
        ("openai_responses", "image", "http://a/1", True),
        ("openai_responses", "document", "https://a/1", True),
        ("anthropic_messages", "image", "https://a/1", True),
        ("anthropic_messages", "image", "http://a/1", False),
        ("anthropic_messages", "document", "https://a/1", True),
        ("gemini", "image", "https://a/1", False),
        ("gemini", "video", "https://www.youtube.com/watch?v=1", True),
        ("gemini", "video", "https://www.youtube.com.evil.org/watch", False),
        ("gemini", "document", "gs://bucket/a.pdf", True),
        ("gemini", "image", "https://generativelanguage.googleapis.com/v1beta/files/1", True),
    ],
)
def test_each_format_says_what_its_providers_fetch(
    format_name: str, kind: str, url: str, takes: bool
) -> None:
    assert FORMATS[format_name].translation.takes_address(image(url, kind)) is takes


# ---------------------------------------------------------------------- translators


def chat_call() -> ChatCall:
    content = [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": URL}},
    ]
    document = {"model": "m", "messages": [{"role": "user", "content": content}]}
    return FORMATS["openai_chat"].read_request(document, msgspec.json.encode(document))


def asking(*, takes_addresses: bool = True) -> Asking:
    return Asking(Suffix("up"), takes_addresses=takes_addresses)


def test_a_request_waits_for_media_that_its_provider_cannot_fetch() -> None:
    translators = Translators(FORMATS["openai_chat"], FORMATS)
    with pytest.raises(MediaNeeded):
        translators.to("gemini").outgoing(chat_call(), asking())
    call = replace(chat_call(), fetched={URL: PNG})
    sent = json.loads(translators.to("gemini").outgoing(call, asking()).body)
    assert {"inlineData": {"mimeType": "image/png", "data": PNG.data}} in sent["contents"][0][
        "parts"
    ]
    by_address = json.loads(translators.to("anthropic_messages").outgoing(call, asking()).body)
    assert by_address["messages"][0]["content"][1]["source"] == {"type": "url", "url": URL}


def test_a_provider_of_the_same_format_that_fetches_nothing_is_sent_bytes() -> None:
    translator = Translators(FORMATS["openai_chat"], FORMATS).to("openai_chat")
    assert URL in translator.outgoing(chat_call(), asking()).body.decode()
    with pytest.raises(MediaNeeded):
        translator.outgoing(chat_call(), asking(takes_addresses=False))
    call = replace(chat_call(), fetched={URL: PNG})
    sent = json.loads(translator.outgoing(call, asking(takes_addresses=False)).body)
    assert sent["model"] == "up"
    url = sent["messages"][0]["content"][1]["image_url"]["url"]
    assert url == f"data:image/png;base64,{PNG.data}"
    without = replace(call, document={"model": "m", "messages": [{"role": "user", "content": "x"}]})
    assert translator.outgoing(without, asking(takes_addresses=False)).body.startswith(b"{")


# ---------------------------------------------------------------------- fetching


class Library(Egress):
    """An egress that has everything at hand, and remembers who asked."""

    def __init__(self, **found: object) -> None:
        self._found = found
        self._limits = EgressLimits()
        self.asked: list[str] = []

    async def fetch(self, address: str, budget: Budget) -> Fetched:  # noqa: ARG002
        self.asked.append(address)
        found = self._found["it"]
        if isinstance(found, MediaUnavailable):
            raise found
        assert isinstance(found, Fetched)
        return found


def got(media: Media, content: bytes, media_type: str) -> str:
    """The media type under which something is passed on, or why it is not."""

    async def run() -> str:
        fetch = MediaFetch(Library(it=Fetched(content, media_type)))
        try:
            await fetch.get((media,))
        except MediaUnavailable as why:
            return why.message
        (inline,) = fetch.fetched.values()
        assert base64.b64decode(inline.data) == content
        return inline.media_type

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "content", "told", "passed"),
    [
        ("image", images.png(1, 1), "image/png", "image/png"),
        ("image", images.png(1, 1), "image/jpeg", "image/png"),
        ("image", images.gif(1, 1), "", "image/gif"),
        ("image", images.jpeg(1, 1), "application/octet-stream", "image/jpeg"),
        ("image", b"?", "image/heic", "image/heic"),
        ("audio", b"?", "audio/wav", "audio/wav"),
        ("video", b"?", "video/mp4", "video/mp4"),
        ("document", b"%PDF-1.7", "", "application/pdf"),
        ("document", b"a,b", "text/csv", "text/csv"),
    ],
)
def test_what_comes_is_passed_on_as_what_it_is(
    kind: str, content: bytes, told: str, passed: str
) -> None:
    assert got(image(kind=kind), content, told) == passed


@pytest.mark.parametrize(
    ("kind", "content", "told"),
    [
        ("image", b"<html>", "text/html"),
        ("image", images.png(1, 1), "text/html"),
        ("image", b"?", ""),
        ("document", b"<html>", "text/html"),
        ("document", b"?", "image/png"),
        ("audio", b"?", "video/mp4"),
        ("video", b"?", "application/octet-stream"),
        ("image", b"", "image/png"),
    ],
)
def test_what_is_not_what_the_part_says_is_refused_by_name(
    kind: str, content: bytes, told: str
) -> None:
    message = got(image(kind=kind), content, told)
    assert message.startswith(f"The {kind} at 'https://example.org/cat.png' is ")
    assert "secret" not in message


def test_an_address_is_asked_once_and_a_refusal_is_remembered() -> None:
    async def run() -> None:
        library = Library(it=Fetched(images.png(1, 1), "image/png"))
        fetch = MediaFetch(library)
        await fetch.get((image(),))
        assert library.asked == [URL]
        nothing = Library(it=MediaUnavailable("is answered with status 404"))
        fetch = MediaFetch(nothing)
        for _ in range(2):
            with pytest.raises(MediaUnavailable, match="404"):
                await fetch.get((image(),))
        assert nothing.asked == [URL]

    asyncio.run(run())


def test_too_many_are_refused_unasked() -> None:
    library = Library(it=Fetched(b"x", "image/png"))
    many = tuple(image(f"https://a/{n}") for n in range(MEDIA_MAX + 1))
    with pytest.raises(MediaUnavailable, match="More than 16"):
        asyncio.run(MediaFetch(library).get(many))
    assert library.asked == []
