"""Where a channel leads, how its provider is reached, and what it changes on the way."""

from typing import Literal, get_args
from uuid import UUID

import msgspec

KeyChoice = Literal["random", "in_turn", "in_order"]
KEY_CHOICES: tuple[KeyChoice, ...] = get_args(KeyChoice)


class Shaping(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a channel changes in the calls and answers that pass through it.

    `system_prompt_id`: its own system prompt, whose words lie in the vault; it stands in where the
    client has none, or with `system_prompt_leads` goes before the client's. `thinking_to_content`:
    thoughts are told as part of the text. `force_format`: answers are written anew, with nothing
    but what their format knows. `keeps_suffix`: the provider's models whose names end as if they
    said how much to think, and do not.
    """

    thinking_to_content: bool = False
    force_format: bool = False
    system_prompt_id: UUID | None = None
    system_prompt_leads: bool = False
    keeps_suffix: tuple[str, ...] = ()


class Way(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a channel's provider is reached. `proxy`: the address of one on the way, without who may
    pass; where it asks for that, the whole address lies in the vault as `proxy_id`. `roots`: whom
    to believe instead of the system's, certificates in PEM. Time-outs in milliseconds, 0: as usual;
    `first_content_ms`: a stream that has said nothing by then is given up, and another is asked.
    """

    proxy: str = ""
    proxy_id: UUID | None = None
    roots: str = ""
    connect_ms: int = 0
    first_byte_ms: int = 0
    idle_ms: int = 0
    first_content_ms: int = 0


class Overrides(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a channel changes in requests, and in what clients are told of failures.

    `parameters_id`, `headers_id`: the texts lie in the vault. `header_names` are what people are
    shown of the headers. `statuses`: told instead of the provider's.
    """

    parameters_id: UUID | None = None
    headers_id: UUID | None = None
    header_names: tuple[str, ...] = ()
    statuses: dict[str, int] = {}


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a channel leads, and for whom. `models` maps the client's name to the provider's.
    `settings` are what its kind of provider needs to know besides: a region, a version, ...
    `key_choice`: which of its keys a call is sent with; in order: the first that may be asked.
    """

    type: str
    base_url: str = ""
    models: dict[str, str] = {}
    groups: tuple[str, ...] = ("default",)
    priority: int = 0
    weight: int = 1
    key_ids: tuple[UUID, ...] = ()
    key_choice: KeyChoice = "random"
    settings: dict[str, str] = {}
    shaping: Shaping = Shaping()
    way: Way = Way()
    overrides: Overrides = Overrides()
