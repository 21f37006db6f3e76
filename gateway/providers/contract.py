"""What a provider is to the gateway: an address and a way to ask; never a price or a key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from uuid import UUID

import msgspec

from gateway.conversation.reasoning_suffixes import SuffixReader
from gateway.http.upstream import Upstream, UpstreamAnswer


class Attempt(msgspec.Struct, frozen=True):
    """One try at one channel: where it leads, with which key, and the exact bytes to send, in
    `format`.

    `headers`: what the client sent along with its body, where its format is the provider's.
    `settings`: what the channel says besides, by the names of `Provider.settings`.
    """

    channel_id: UUID
    base_url: str
    key: str
    upstream_model: str
    body: bytes
    is_stream: bool
    format: str
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    settings: Mapping[str, str] = msgspec.field(default_factory=dict)
    variant: str = ""
    """As `ChatCall.variant`; only a `Keeper` is ever asked for one."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A question about an answer that a provider keeps: `path` is relative to where answers are
    made (`resp_1/cancel`), `query` what goes with it.
    """

    method: str
    base_url: str
    key: str
    path: str
    query: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """Something a channel may have to say besides its address: a region, a version, ...

    `pattern` is what its whole value must match. With `leads_keys` it has a say in where the
    channel's keys go, so that another value takes the keys away as another address does.
    """

    name: str
    description: str
    is_required: bool = False
    default: str = ""
    pattern: str = r"[\x21-\x7e]{1,512}"
    leads_keys: bool = False


@dataclass(frozen=True, slots=True)
class KeyForm:
    """What a key looks like: for people, and as a pattern that a whole key must match.

    `may_be_json`: a key may be a JSON object as well, such as a service account's.
    """

    description: str = ""
    pattern: str = r"[\x21-\x7e]+"
    may_be_json: bool = False


@dataclass(frozen=True, slots=True)
class Habits:
    """What a vendor does otherwise than the formats say that it speaks.

    `fetches_media`: whether it reads what a request names by address. `suffixes`: what endings of
    its models' names mean here alone.
    """

    fetches_media: bool = True
    suffixes: tuple[SuffixReader, ...] = ()


USUAL = Habits()
ONE_WORD = KeyForm()
NO_SETTINGS: Sequence[Setting] = ()


class Provider(Protocol):
    """A vendor."""

    @property
    def name(self) -> str:
        """Stored in channels."""
        ...

    @property
    def base_url(self) -> str:
        """Where it is when the channel does not say; empty: the channel must say.

        `{name}` in it stands for a setting, or for what is found in the key.
        """
        ...

    @property
    def is_whole_url(self) -> bool:
        """Whether a channel's `base_url` is the whole address, a query included."""
        ...

    @property
    def needs_key(self) -> bool:
        """Whether a channel without keys is of no use."""
        ...

    @property
    def key_form(self) -> KeyForm:
        """What its keys look like."""
        ...

    @property
    def spoken(self) -> Sequence[str]:
        """The names of all formats it can speak, best first."""
        ...

    @property
    def settings(self) -> Sequence[Setting]:
        """What a channel may or must say besides."""
        ...

    @property
    def habits(self) -> Habits:
        """What is peculiar to it."""
        ...

    def formats(
        self, base_url: str, upstream_model: str, settings: Mapping[str, str], /
    ) -> Sequence[str]:
        """Those of `spoken` in which it offers a model at an address (empty: its own), best first;
        never none.
        """
        ...

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """Ask. An answer of status 401 says that the key is refused.

        Raises UpstreamFailed, UpstreamTimeout when no answer begins.
        """
        ...


@runtime_checkable
class Lister(Provider, Protocol):
    """A vendor that tells good keys, and these alone, for nothing which models they may use."""

    def lists(self, base_url: str, /) -> bool:
        """Whether it does at this address; empty: its own."""
        ...

    async def list_models(self, base_url: str, key: str, upstream: Upstream) -> UpstreamAnswer:
        """Ask for them. Raises UpstreamFailed, UpstreamTimeout when no answer begins."""


@runtime_checkable
class Keeper(Provider, Protocol):
    """A vendor that shows again what it keeps, and knows the variants of its formats."""

    async def visit(self, visit: Visit, upstream: Upstream) -> UpstreamAnswer:
        """Ask about a kept answer. Raises UpstreamFailed, UpstreamTimeout when no answer begins."""
