"""What is said of channels and their types, and what a channel may be given."""

import json
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, JsonValue, SecretStr

from admin_api.access.permissions import Operator
from admin_api.channels.key_schemas import ProviderKeyOutput, key_state
from admin_api.channels.operations import (
    GROUPS_MAX,
    KEYS_MAX,
    SETTINGS_MAX,
    ChannelInput,
    ChannelView,
)
from admin_api.channels.overrides import STATUSES_MAX
from admin_api.channels.ways import ROOTS_MAX, TIMEOUT_MS_MAX
from admin_api.errors import InvalidInput
from admin_api.fields.bodies import GroupName, Input, ModelName, Name, Output
from admin_api.fields.inputs import LIST_MAX, PASSAGE_MAX, SECRET_MAX, URL_MAX
from ledger.streams.routes import KeyChoice


class ModelMapping(Input):
    """The client's name of a model and the provider's."""

    client: ModelName
    upstream: ModelName


ProviderKey = Annotated[SecretStr, Field(min_length=1, max_length=2 * SECRET_MAX)]
Type = Annotated[
    str, Field(min_length=1, max_length=64, description="A kind of provider: see /channel-types.")
]
BaseUrl = Annotated[str, Field(max_length=URL_MAX, description="Empty: the provider's own.")]
Keys = Annotated[list[ProviderKey], Field(max_length=KEYS_MAX)]
ChosenBy = Annotated[
    KeyChoice,
    Field(description="Which key a call is sent with; in_order: the first that may be asked."),
]
Models = Annotated[list[ModelName | ModelMapping], Field(min_length=1, max_length=LIST_MAX)]
Groups = Annotated[list[GroupName], Field(min_length=1, max_length=GROUPS_MAX)]
Priority = Annotated[int, Field(ge=-1_000_000, le=1_000_000, description="Highest first.")]
Weight = Annotated[int, Field(ge=0, le=1_000_000, description="Share within one priority.")]
SettingName = Annotated[str, Field(min_length=1, max_length=64)]
SettingValue = Annotated[str, Field(min_length=1, max_length=4_096)]
Settings = Annotated[
    dict[SettingName, SettingValue],
    Field(max_length=SETTINGS_MAX, description="All settings of its type: see /channel-types."),
]
ThinkingToContent = Annotated[bool, Field(description="Thoughts are told as part of the text.")]
ForceFormat = Annotated[
    bool, Field(description="Answers are written anew, with nothing but what their format knows.")
]
SystemPrompt = Annotated[
    str,
    Field(
        max_length=PASSAGE_MAX,
        description="Stands in where the client has no system prompt. Empty: none.",
    ),
]
KeepsSuffix = Annotated[
    list[ModelName],
    Field(
        max_length=LIST_MAX,
        description="The provider's models whose names end like -thinking or -high and mean it so.",
    ),
]
SystemPromptLeads = Annotated[
    bool, Field(description="It goes before the client's system prompt instead.")
]

Proxy = Annotated[
    SecretStr,
    Field(
        max_length=URL_MAX,
        description="http, https or socks5, with user and password if it asks for them. "
        "Nothing is sent by another way. Empty: none.",
    ),
]
TrustedCertificates = Annotated[
    str,
    Field(
        max_length=ROOTS_MAX,
        description="In PEM, instead of the system's: whom to believe. Empty: the system's.",
    ),
]
TimeoutMs = Annotated[int, Field(ge=0, le=TIMEOUT_MS_MAX, description="0: as usual.")]
FirstContentMs = Annotated[
    int,
    Field(
        ge=0,
        le=TIMEOUT_MS_MAX,
        description="A stream that has said nothing by then, thoughts included, is given up, and "
        "another channel is asked. 0: the client waits with it.",
    ),
]


ParameterOverrides = Annotated[
    dict[str, JsonValue],
    Field(
        description="What is changed in a request, in the provider's format: members to set, or "
        '`{"operations": [...]}`. Nothing: {}.'
    ),
]
HeaderOverrides = Annotated[
    dict[str, SecretStr],
    Field(
        max_length=50,
        description="Headers sent to the provider. A value may hold {api_key} and "
        "{client_header:Name}; the names * and re:PATTERN pass on the client's. Nothing: {}.",
    ),
]
StatusCodes = Annotated[
    dict[str, int],
    Field(
        max_length=STATUSES_MAX,
        description='What clients are told instead of a provider\'s status: {"404": 503}.',
    ),
]
FollowModels = Annotated[
    bool, Field(description="Of a=b and b=c among the models, a is c. Told again at each change.")
]


class NewChannel(Input):
    """A channel to add."""

    name: Name
    type: Type
    base_url: BaseUrl | None = None
    keys: Keys | None = None
    key_choice: ChosenBy | None = None
    models: Models
    groups: Groups | None = None
    priority: Priority | None = None
    weight: Weight | None = None
    settings: Settings | None = None
    thinking_to_content: ThinkingToContent | None = None
    force_format: ForceFormat | None = None
    system_prompt: SystemPrompt | None = None
    system_prompt_leads: SystemPromptLeads | None = None
    keeps_suffix: KeepsSuffix | None = None
    proxy: Proxy | None = None
    trusted_certificates: TrustedCertificates | None = None
    connect_timeout_ms: TimeoutMs | None = None
    first_byte_timeout_ms: TimeoutMs | None = None
    idle_timeout_ms: TimeoutMs | None = None
    first_content_timeout_ms: FirstContentMs | None = None
    parameter_overrides: ParameterOverrides | None = None
    header_overrides: HeaderOverrides | None = None
    status_codes: StatusCodes | None = None
    follow_models: FollowModels | None = None


class ChannelChange(Input):
    """Changes to a channel: what is absent or null stays.

    Another type or base_url takes the keys away unless new ones are given with it; so does a
    setting that has a say in where keys go, other trusted_certificates, and on an address without
    TLS another proxy. Another type takes the settings away likewise.
    """

    name: Name | None = None
    type: Type | None = None
    base_url: BaseUrl | None = None
    keys: Keys | None = None
    key_choice: ChosenBy | None = None
    models: Models | None = None
    groups: Groups | None = None
    priority: Priority | None = None
    weight: Weight | None = None
    settings: Settings | None = None
    thinking_to_content: ThinkingToContent | None = None
    force_format: ForceFormat | None = None
    system_prompt: SystemPrompt | None = None
    system_prompt_leads: SystemPromptLeads | None = None
    keeps_suffix: KeepsSuffix | None = None
    proxy: Proxy | None = None
    trusted_certificates: TrustedCertificates | None = None
    connect_timeout_ms: TimeoutMs | None = None
    first_byte_timeout_ms: TimeoutMs | None = None
    idle_timeout_ms: TimeoutMs | None = None
    first_content_timeout_ms: FirstContentMs | None = None
    parameter_overrides: ParameterOverrides | None = None
    header_overrides: HeaderOverrides | None = None
    status_codes: StatusCodes | None = None
    follow_models: FollowModels | None = None
    is_paused: bool | None = None


class ModelMappingOutput(Output):
    """The client's name of a model and the provider's."""

    client: str
    upstream: str


class ChannelOutput(Output):
    """A channel."""

    id: UUID
    name: str | None
    type: str
    base_url: str
    keys: list[ProviderKeyOutput]
    key_choice: KeyChoice
    models: list[ModelMappingOutput]
    groups: list[str]
    priority: int
    weight: int
    settings: dict[str, str]
    thinking_to_content: bool
    force_format: bool
    has_system_prompt: bool
    system_prompt: str | None = Field(description="For those who may change the channel.")
    system_prompt_leads: bool
    keeps_suffix: list[str]
    proxy: str = Field(description="Without who may pass.")
    has_proxy_credentials: bool
    trusted_certificates: str
    connect_timeout_ms: int
    first_byte_timeout_ms: int
    idle_timeout_ms: int
    first_content_timeout_ms: int
    has_parameter_overrides: bool
    parameter_overrides: dict[str, Any] | None = Field(
        description="For those who may change the channel."
    )
    header_override_names: list[str]
    status_codes: dict[str, int]
    is_paused: bool

    @classmethod
    def of(cls, view: ChannelView, operator: Operator) -> Self:
        """As it is told."""
        route = view.state.route
        shaping = route.shaping
        return cls(
            id=view.channel_id,
            name=view.name,
            type=route.type,
            base_url=route.base_url,
            keys=[
                ProviderKeyOutput(id=key, state=key_state(view.state.key_state(key)))
                for key in route.key_ids
            ],
            key_choice=route.key_choice,
            models=[
                ModelMappingOutput(client=c, upstream=u) for c, u in sorted(route.models.items())
            ],
            groups=list(route.groups),
            priority=route.priority,
            weight=route.weight,
            settings=route.settings,
            thinking_to_content=shaping.thinking_to_content,
            force_format=shaping.force_format,
            has_system_prompt=shaping.system_prompt_id is not None,
            system_prompt=view.system_prompt if operator.may("channels:write") else None,
            system_prompt_leads=shaping.system_prompt_leads,
            keeps_suffix=list(shaping.keeps_suffix),
            proxy=route.way.proxy,
            has_proxy_credentials=route.way.proxy_id is not None,
            trusted_certificates=route.way.roots,
            connect_timeout_ms=route.way.connect_ms,
            first_byte_timeout_ms=route.way.first_byte_ms,
            idle_timeout_ms=route.way.idle_ms,
            first_content_timeout_ms=route.way.first_content_ms,
            has_parameter_overrides=route.overrides.parameters_id is not None,
            parameter_overrides=_object(view) if operator.may("channels:write") else None,
            header_override_names=list(route.overrides.header_names),
            status_codes=dict(route.overrides.statuses),
            is_paused=view.state.is_paused,
        )


class ChannelList(Output):
    """Every channel, oldest first."""

    channels: list[ChannelOutput]


def channel_input(given: NewChannel | ChannelChange) -> ChannelInput:
    """What is wanted. Raises InvalidInput for a model that is named twice."""
    return ChannelInput(
        name=given.name,
        type=given.type,
        base_url=given.base_url,
        keys=None if given.keys is None else [key.get_secret_value() for key in given.keys],
        key_choice=given.key_choice,
        models=None if given.models is None else _mapping(given.models),
        groups=given.groups,
        priority=given.priority,
        weight=given.weight,
        settings=given.settings,
        thinking_to_content=given.thinking_to_content,
        force_format=given.force_format,
        system_prompt=given.system_prompt,
        system_prompt_leads=given.system_prompt_leads,
        keeps_suffix=given.keeps_suffix,
        proxy=None if given.proxy is None else given.proxy.get_secret_value(),
        trusted_certificates=given.trusted_certificates,
        connect_timeout_ms=given.connect_timeout_ms,
        first_byte_timeout_ms=given.first_byte_timeout_ms,
        idle_timeout_ms=given.idle_timeout_ms,
        first_content_timeout_ms=given.first_content_timeout_ms,
        parameter_overrides=_text(given.parameter_overrides),
        header_overrides=_headers(given.header_overrides),
        status_codes=given.status_codes,
        follow_models=given.follow_models,
        is_paused=given.is_paused if isinstance(given, ChannelChange) else None,
    )


def _object(view: ChannelView) -> Any:  # noqa: ANN401 - JSON
    text = view.parameter_overrides
    return None if text is None else json.loads(text)


def _text(given: dict[str, JsonValue] | None) -> str | None:
    return None if given is None else json.dumps(given)


def _headers(given: dict[str, SecretStr] | None) -> str | None:
    if given is None:
        return None
    return json.dumps({name: value.get_secret_value() for name, value in given.items()})


def _mapping(models: list[ModelName | ModelMapping]) -> dict[str, str]:
    pairs = [(m, m) if isinstance(m, str) else (m.client, m.upstream) for m in models]
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise InvalidInput("models", "must not name a model twice")
    return mapping
