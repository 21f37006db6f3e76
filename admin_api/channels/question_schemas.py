"""What a channel is asked by hand, and what is said of it."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from admin_api.channels.asker import AnsweredQuestion, Question, ShownExchange
from admin_api.channels.questions import OfferedModels
from admin_api.fields.bodies import Amount, Input, ModelName, Output
from admin_api.fields.inputs import LIST_MAX
from ledger.money import format_usd

AskedIn = Literal[
    "openai_chat", "openai_responses", "openai_completions", "anthropic_messages", "gemini"
]
Key = Annotated[
    UUID | None, Field(strict=False, description="One of the channel's; absent: the first used.")
]


Names = Annotated[list[ModelName], Field(max_length=LIST_MAX)]


class NewQuestion(Input):
    """A model of the channel, by the client's name for it, asked for a few tokens."""

    model: ModelName
    format: AskedIn = "openai_chat"
    stream: bool = False
    key: Key = None

    def question(self) -> Question:
        """As it is asked."""
        return Question(self.model, self.format, self.stream, self.key)


class ProviderExchangeOutput(Output):
    """A request and its answer as they went over the wire; keys and secret headers are `***`, and
    of an answer there are 64 KiB. `status` 0: there was none.
    """

    method: str
    url: str
    request_headers: dict[str, str]
    request_body: str
    status: int
    answer_headers: dict[str, str]
    answer_body: str

    @classmethod
    def of(cls, one: ShownExchange) -> Self:
        """As it is told."""
        return cls(
            method=one.method,
            url=one.url,
            request_headers=dict(one.request_headers),
            request_body=one.request_body,
            status=one.status,
            answer_headers=dict(one.answer_headers),
            answer_body=one.answer_body,
        )


class AnsweredQuestionOutput(Output):
    """What came of a question. `error`: as a client would be told; empty: it was answered.

    `finding`: what the failure says of the key, as a code. `cost`: what it cost us, null where
    no cost is known; what was used is booked. `exchange`: null where nothing was sent.
    """

    error: str
    finding: str
    duration_ms: int
    usage: dict[str, int]
    cost: Amount | None
    exchange: ProviderExchangeOutput | None

    @classmethod
    def of(cls, one: AnsweredQuestion) -> Self:
        """As it is told."""
        return cls(
            error=one.error,
            finding=one.finding,
            duration_ms=one.duration_ms,
            usage=dict(one.usage),
            cost=None if one.cost_nanos is None else format_usd(one.cost_nanos),
            exchange=None if one.exchange is None else ProviderExchangeOutput.of(one.exchange),
        )


class OfferedModelsOutput(Output):
    """What a vendor lists now, by its own names. `gone`: the channel asks for it and it is not
    listed; `new`: the other way round. `unpriced`: models of the channel, by the clients' names,
    that have no price and are served to nobody.
    """

    offered: list[str]
    gone: list[str]
    new: list[str]
    unpriced: list[str]

    @classmethod
    def of(cls, one: OfferedModels) -> Self:
        """As it is told."""
        return cls(
            offered=list(one.offered),
            gone=list(one.gone),
            new=list(one.new),
            unpriced=list(one.unpriced),
        )


class TakeOver(Input):
    """Models to serve more, and such to serve no more, by the vendor's names."""

    add: Names = Field(default_factory=list)
    drop: Names = Field(default_factory=list)
