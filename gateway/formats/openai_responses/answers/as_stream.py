"""A whole response as the stream the client asked for, where a provider did not stream."""

from gateway.conversation.turn import Begun, PartBegun, PartEnded, Stopped, TurnEvent
from gateway.formats.openai_responses.answers.turn import turn_of
from gateway.formats.openai_responses.answers.usage import read_usage
from gateway.formats.openai_responses.answers.writing_events import ResponseEventWriter
from gateway.formats.values import ChatCall
from gateway.http.lenient_json import read_object
from ledger.usage import Usage


def as_stream(call: ChatCall, body: bytes) -> bytes:
    """The events of a response, its end included."""
    document = read_object(body)
    turn = turn_of(document)
    (choice,) = turn.choices
    events: list[TurnEvent] = [Begun(id=turn.id, model=turn.model, created_s=turn.created_s)]
    for number, part in enumerate(choice.parts):
        events += [
            PartBegun(choice=0, number=number, part=part),
            PartEnded(choice=0, number=number),
        ]
    events.append(Stopped(choice=0, stop=choice.stop, stop_word=choice.stop_word))
    writer = ResponseEventWriter(call)
    usage, _ = read_usage(document.get("usage"))
    return writer.write(events) + writer.closing(usage or Usage())
