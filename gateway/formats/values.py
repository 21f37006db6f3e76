"""What formats read and hand on: a call, its prompt, its answer, and the pieces of a stream."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from gateway.conversation.parts import Inline
from gateway.errors import GatewayError
from ledger.pricing import STANDARD
from ledger.usage import Usage

CountTokens = Callable[[Sequence[str]], int]
"""Tokens in some texts, in the tokenizer of the model at hand."""

FirstTokens = Callable[[str, int], tuple[str, int]]
"""The beginning of a text that is at most so many tokens in that tokenizer, and how many it is."""

FirstTokensOf = Callable[[str, str, int], tuple[str, int]]
"""The same, by the name of a model before it."""

TOOL_CALLS_DEFAULT = 8
"""Held for a tool that the provider runs by itself, where the request sets no limit. More calls are
billed all the same, as more tokens are.
"""

PieceKind = Literal["content", "usage", "end", "error", "comment"]


class ChatCall(msgspec.Struct, frozen=True):
    """A request that was read and found well-formed.

    `max_output_tokens` is the client's own limit for one choice, None where it has none.
    `wants_usage` says whether a stream's usage event goes on to the client. `document` is the
    parsed `body`; `body` the client's bytes; `stripped` names top-level fields that are not
    forwarded. `headers` are the client's own that go with the body, by lower-case name.
    `service` is the one asked for (flex, priority, ...), empty for the standard one.

    `keeps`: the client lets the provider keep the answer. `continues` is the id of a kept answer
    that this call goes on from, `refers_to` the ids of items of kept answers that stand for them in
    its input, and `earlier_tokens` how much the provider reads again for both. `keeps_here`: an
    answer that is translated may be kept by us.
    `variant` names another thing to do with the same words (compact), empty for an answer.

    `fetched`: media that was named by these addresses, for providers that do not take addresses.
    `told_tokens_most`: how much of a choice the client is told, where who answers takes no limit as
    low as the client's own and was asked for more.
    """

    model: str
    stream: bool
    max_output_tokens: int | None
    choices: int
    wants_usage: bool
    document: dict[str, Any]
    body: bytes
    stripped: tuple[str, ...] = ()
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    service: str = STANDARD
    keeps: bool = False
    keeps_here: bool = False
    continues: str = ""
    refers_to: tuple[str, ...] = ()
    earlier_tokens: int = 0
    variant: str = ""
    fetched: Mapping[str, Inline] = msgspec.field(default_factory=dict)
    told_tokens_most: int | None = None


class Prompt(msgspec.Struct, frozen=True):
    """Everything that will be counted as input: texts, and tokens known without counting.

    `fixed_tokens` errs upwards; `likely_tokens`, if there, is what is likely of them.
    `tool_calls`: how often the provider may call tools of its own that are billed per call, by
    class of `ledger.usage.TOOL_CLASSES`: the request's own limit, else TOOL_CALLS_DEFAULT.
    """

    texts: tuple[str, ...]
    fixed_tokens: int
    tool_calls: Mapping[str, int] = msgspec.field(default_factory=dict)
    likely_tokens: int | None = None

    @property
    def estimated_tokens(self) -> int:
        """What an estimate takes for tokens known without counting."""
        return self.fixed_tokens if self.likely_tokens is None else self.likely_tokens


class Answer(msgspec.Struct, frozen=True):
    """A whole answer.

    `usage` is None when the provider told none, or none that can be used. `anomaly` names what is
    wrong with what it told; with a usage beside it, that usage was mended and counts. `error` is
    set for an error told under status 200. `output_texts` are what an estimate counts. `service`
    is the one that answered, None where the provider does not say. `stored_id` is the id under
    which the provider keeps the answer, empty where it does not. `tools` counts calls of tools
    that the provider ran by itself, which `usage` leaves out.
    """

    usage: Usage | None
    anomaly: str | None
    error: GatewayError | None
    output_texts: tuple[str, ...]
    service: str | None = None
    stored_id: str = ""
    stored_items: tuple[str, ...] = ()
    tools: Usage = Usage()


class ServedModel(NamedTuple):
    """A model a caller may ask for, and since when it is sold."""

    id: str
    created_s: int


class Piece(msgspec.Struct, frozen=True, gc=False):
    """One event of a provider's stream, classified; `raw` is its exact bytes, `data` its data.

    - `content`: forward.
    - `comment`: forward; nothing in it was generated (keep-alives, annotations).
    - `usage`: nothing but usage; forward only if `ChatCall.wants_usage`.
    - `end`: the format's end marker; held back until the settlement is durable.
    - `error`: the stream is broken; `error` says how, `raw` is never forwarded.
    """

    kind: PieceKind
    raw: bytes
    data: bytes = b""
    error: GatewayError | None = None
