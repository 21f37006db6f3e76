"""What other vendors cite reaches Gemini's clients as the pages an answer is grounded on."""

import json

from gateway.conversation.parts import Text
from gateway.conversation.turn import (
    Choice,
    CitationDelta,
    PartBegun,
    PartEnded,
    Stopped,
    Turn,
)
from gateway.formats.gemini.format import Gemini
from ledger.usage import Usage

TRANSLATION = Gemini().translation
CALL = Gemini().read_request({"contents": [{"parts": [{"text": "x"}]}]}, b"{}")
OF_RESPONSES = {"type": "url_citation", "url": "https://a.example", "title": "A"}
OF_CHAT = {"type": "url_citation", "url_citation": {"url": "https://b.example"}}
OF_A_FILE = {"type": "file_citation", "file_id": "f"}


def page(url: str, title: str) -> dict[str, object]:
    return {"web": {"uri": url, "title": title}}


def test_a_whole_answer_names_each_page_once() -> None:
    citations = (OF_RESPONSES, OF_CHAT, OF_RESPONSES, OF_A_FILE)
    cited = Text(text="x", citations=citations, citing="openai_responses")
    turn = Turn(format="", id="i", model="m", choices=(Choice(parts=(cited,), stop="stop"),))
    (candidate,) = json.loads(TRANSLATION.answer(CALL, turn, Usage()))["candidates"]
    pages = [page("https://a.example", "A"), page("https://b.example", "")]
    assert candidate["groundingMetadata"] == {"groundingChunks": pages}


def test_a_stream_names_them_at_its_end() -> None:
    writer = TRANSLATION.writer(CALL)
    writer.write(
        [
            PartBegun(choice=0, number=0, part=Text(text="x")),
            CitationDelta(choice=0, number=0, citation=OF_RESPONSES, citing="openai_responses"),
            PartEnded(choice=0, number=0),
            Stopped(choice=0, stop="stop"),
        ]
    )
    (candidate,) = json.loads(writer.closing(Usage()).removeprefix(b"data: "))["candidates"]
    grounding = {"groundingChunks": [page("https://a.example", "A")]}
    assert candidate["groundingMetadata"] == grounding


def test_what_cites_nothing_is_grounded_on_nothing() -> None:
    told = Text(text="x", citations=(OF_A_FILE,), citing="openai_responses")
    turn = Turn(format="", id="i", model="m", choices=(Choice(parts=(told,), stop="stop"),))
    (candidate,) = json.loads(TRANSLATION.answer(CALL, turn, Usage()))["candidates"]
    assert "groundingMetadata" not in candidate
