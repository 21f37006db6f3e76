"""Vendors that speak formats of others, where only the address differs: nothing but data.

Sources are the vendors' own pages on compatibility with OpenAI and Anthropic.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from gateway.conversation.reasoning_suffixes import (
    any_thinking,
    deepseek,
    deepseek_thinking,
    grok,
    search,
    whole_name,
)
from gateway.http.upstream import Upstream, UpstreamAnswer, UpstreamRequest
from gateway.providers.contract import (
    NO_SETTINGS,
    ONE_WORD,
    USUAL,
    Attempt,
    Habits,
    KeyForm,
    Setting,
)
from gateway.providers.shared.credentials import request_headers
from gateway.providers.shared.older_chat import NO_QUIRKS, ChatQuirks, for_older

CHAT, RESPONSES, MESSAGES = "openai_chat", "openai_responses", "anthropic_messages"
COMPLETIONS, GEMINI = "openai_completions", "gemini"

_ACTIONS = {False: "generateContent", True: "streamGenerateContent?alt=sse"}
_OLDER = ChatQuirks(is_older=True)


@dataclass(frozen=True, slots=True)
class Compatible:
    """One vendor. `paths`: below the base URL, by the format that is spoken there, best first;
    `{model}` and `{action}` stand for what Gemini has in its addresses.

    `only`: patterns of the models that a format is offered for, where that is not all of them.
    `second_header`: where the part of a key after `|` goes. `models_path`: where it lists its
    models to good keys alone, for nothing; empty: nowhere.
    """

    name: str
    base_url: str
    paths: Mapping[str, str]
    only: Mapping[str, str] = field(default_factory=dict)
    quirks: ChatQuirks = NO_QUIRKS
    habits: Habits = USUAL
    needs_key: bool = True
    key_form: KeyForm = ONE_WORD
    second_header: str = ""
    settings: Sequence[Setting] = NO_SETTINGS
    is_whole_url: bool = False
    models_path: str = ""

    def lists(self, base_url: str) -> bool:
        """At its own address, where it does at all."""
        return bool(self.models_path) and (not base_url or base_url == self.base_url)

    async def list_models(self, base_url: str, key: str, upstream: Upstream) -> UpstreamAnswer:
        """As OpenAI."""
        url, headers = base_url + self.models_path, {"authorization": f"Bearer {key}"}
        return await upstream.send(UpstreamRequest(url, headers, method="GET"))

    @property
    def spoken(self) -> Sequence[str]:
        """Every format there is a path for."""
        return tuple(self.paths)

    def formats(
        self, _base_url: str, upstream_model: str, _settings: Mapping[str, str], /
    ) -> Sequence[str]:
        """Those that are offered for the model."""
        return tuple(
            name
            for name in self.paths
            if name not in self.only or re.fullmatch(self.only[name], upstream_model)
        )

    async def open(self, attempt: Attempt, upstream: Upstream) -> UpstreamAnswer:
        """POST the body, as the vendor reads it."""
        key, _, second = attempt.key.partition("|") if self.second_header else (attempt.key, "", "")
        headers = request_headers(attempt.format, key, attempt.headers)
        if second:
            headers[self.second_header] = second
        is_chat = attempt.format == CHAT
        body = for_older(attempt.body, self.quirks) if is_chat else attempt.body
        return await upstream.send(UpstreamRequest(self._url(attempt), headers, body))

    def _url(self, attempt: Attempt) -> str:
        base_url = attempt.base_url
        for setting in self.settings:
            value = attempt.settings.get(setting.name, setting.default)
            base_url = base_url.replace(f"{{{setting.name}}}", quote(value, safe=""))
        path = self.paths[attempt.format]
        if "{" in path:
            model = quote(attempt.upstream_model.removeprefix("models/"), safe="")
            path = path.replace("{model}", model).replace("{action}", _ACTIONS[attempt.is_stream])
        return base_url + path


VENDORS = (
    Compatible(
        "deepseek",
        "https://api.deepseek.com",
        {
            CHAT: "/chat/completions",
            MESSAGES: "/anthropic/v1/messages",
            COMPLETIONS: "/beta/completions",
        },
        only={COMPLETIONS: "deepseek-chat"},
        quirks=_OLDER,
        habits=Habits(suffixes=(deepseek,)),
        models_path="/models",  # https://api-docs.deepseek.com/api/list-models
    ),
    Compatible(
        "mistral",
        "https://api.mistral.ai/v1",
        {CHAT: "/chat/completions"},
        # It tells its usage unasked, and refuses members it does not know.
        quirks=ChatQuirks(
            is_older=True,
            refused=("stream_options", "user", "store", "metadata"),
            refused_in_messages=("reasoning_content", "refusal", "annotations"),
            short_tool_call_ids=True,
        ),
        models_path="/models",  # https://docs.mistral.ai/api/#tag/models
    ),
    Compatible(
        "xai",
        "https://api.x.ai/v1",
        {CHAT: "/chat/completions", RESPONSES: "/responses"},
        habits=Habits(suffixes=(grok,)),
        models_path="/models",  # https://docs.x.ai/docs/api-reference#list-models
    ),
    Compatible(
        "openrouter",
        "https://openrouter.ai/api/v1",
        {CHAT: "/chat/completions", RESPONSES: "/responses", MESSAGES: "/messages"},
        habits=Habits(suffixes=(any_thinking,)),
    ),
    Compatible(
        "ollama",
        "http://localhost:11434",
        {
            CHAT: "/v1/chat/completions",
            MESSAGES: "/v1/messages",
            COMPLETIONS: "/v1/completions",
        },
        quirks=_OLDER,
        needs_key=False,
        # https://docs.ollama.com/api/openai-compatibility: images come as bytes.
        habits=Habits(fetches_media=False),
    ),
    Compatible(
        "ali",
        "https://dashscope.aliyuncs.com",
        {
            CHAT: "/compatible-mode/v1/chat/completions",
            RESPONSES: "/api/v2/apps/protocols/compatible-mode/v1/responses",
            MESSAGES: "/apps/anthropic/v1/messages",
        },
        only={RESPONSES: "qwen(3-max|3[.]|3-coder|-plus|-flash).*", MESSAGES: "qwen.*"},
        quirks=_OLDER,
    ),
    Compatible(
        "zhipu",
        "https://open.bigmodel.cn",
        {CHAT: "/api/paas/v4/chat/completions", MESSAGES: "/api/anthropic/v1/messages"},
        only={MESSAGES: "glm-(4[.][5-9]|[5-9]).*"},
        quirks=_OLDER,
    ),
    Compatible(
        "moonshot",
        "https://api.moonshot.cn",
        {CHAT: "/v1/chat/completions", MESSAGES: "/anthropic/v1/messages"},
        only={MESSAGES: "kimi-.*"},
        quirks=_OLDER,
        models_path="/v1/models",  # https://platform.moonshot.ai/docs/api/chat
    ),
    Compatible(
        "minimax",
        "https://api.minimax.io",
        {CHAT: "/v1/chat/completions", MESSAGES: "/anthropic/v1/messages"},
        only={MESSAGES: "MiniMax-M[2-9].*"},
        quirks=_OLDER,
    ),
    Compatible(
        "volcengine",
        "https://ark.cn-beijing.volces.com",
        {
            CHAT: "/api/v3/chat/completions",
            RESPONSES: "/api/v3/responses",
            MESSAGES: "/api/compatible/v1/messages",
        },
        only={RESPONSES: "doubao-seed-.*", MESSAGES: "doubao-seed-code.*"},
        quirks=_OLDER,
        habits=Habits(suffixes=(deepseek_thinking, deepseek)),
    ),
    Compatible(
        "siliconflow",
        "https://api.siliconflow.cn/v1",
        {CHAT: "/chat/completions", MESSAGES: "/messages"},
        quirks=_OLDER,
    ),
    Compatible(
        "groq",
        "https://api.groq.com/openai/v1",
        {CHAT: "/chat/completions"},
        models_path="/models",  # https://console.groq.com/docs/api-reference#models
    ),
    Compatible(
        "perplexity",
        "https://api.perplexity.ai",
        {CHAT: "/chat/completions", RESPONSES: "/v1/responses"},
        # Models of others, told by their vendor's name before a slash, are offered elsewhere.
        only={CHAT: "[^/]+", RESPONSES: ".+/.+"},
        quirks=ChatQuirks(is_older=True, refused=("stream_options",)),
    ),
    Compatible(
        "cohere",
        "https://api.cohere.ai/compatibility/v1",
        {CHAT: "/chat/completions"},
        quirks=_OLDER,
    ),
    Compatible(
        "cloudflare",
        "https://api.cloudflare.com/client/v4/accounts/{account_id}/ai/v1",
        {CHAT: "/chat/completions", RESPONSES: "/responses"},
        only={RESPONSES: "@cf/openai/.*"},
        quirks=_OLDER,
        settings=(
            Setting(
                "account_id",
                "The Cloudflare account that owns the key.",
                is_required=True,
                pattern="[0-9A-Za-z]{1,64}",
            ),
        ),
    ),
    Compatible(
        "baidu_v2",
        "https://qianfan.baidubce.com/v2",
        {CHAT: "/chat/completions"},
        quirks=_OLDER,
        key_form=KeyForm("`key` or `key|appid`", r"[\x21-\x7b\x7d\x7e]+(\|[\x21-\x7b\x7d\x7e]+)?"),
        second_header="appid",
        habits=Habits(suffixes=(search,)),
    ),
    Compatible(
        "tencent",
        "https://api.hunyuan.cloud.tencent.com/v1",
        {CHAT: "/chat/completions"},
        quirks=_OLDER,
    ),
    Compatible("lingyiwanwu", "https://api.lingyiwanwu.com/v1", {CHAT: "/chat/completions"}),
    Compatible("ai360", "https://api.360.cn/v1", {CHAT: "/chat/completions"}, quirks=_OLDER),
    Compatible("submodel", "https://llm.submodel.ai/v1", {CHAT: "/chat/completions"}),
    Compatible("xinference", "", {CHAT: "/v1/chat/completions"}, quirks=_OLDER, needs_key=False),
    Compatible(
        "new_api",
        "",
        {
            CHAT: "/v1/chat/completions",
            RESPONSES: "/v1/responses",
            MESSAGES: "/v1/messages",
            GEMINI: "/v1beta/models/{model}:{action}",
        },
        habits=Habits(suffixes=(whole_name,)),
    ),
)
