"""What every provider owes the gateway, and where each of them is asked."""

import re
from urllib.parse import urlsplit

import pytest

from gateway.formats.registry import PROVIDER_FORMATS
from gateway.providers.contract import Provider
from gateway.providers.registry import PROVIDERS
from tests.gateway.providers.asking import asked, attempt, setting_values

ALL = sorted(PROVIDERS.items())
SENDING = [one for one in ALL if one[0] != "echo"]
MODELS = (
    "gpt-5", "claude-sonnet-4-5", "gemini-2.5-pro", "qwen3-max", "glm-4.6", "sonar",
    "meta/llama-3.3-70b", "anthropic.claude-sonnet-4-5-20250929-v1:0", "@cf/openai/gpt-oss-20b",
    "doubao-seed-1-8", "MiniMax-M2", "ein Modell?",
)  # fmt: skip
KEYS = {"bedrock": "AKIA|secret|us-east-1"}
ELSEWHERE = "https://elsewhere.example.com/deep"


@pytest.mark.parametrize(("name", "provider"), ALL, ids=[name for name, _ in ALL])
def test_it_says_what_it_is(name: str, provider: Provider) -> None:
    assert provider.name == name
    assert provider.spoken
    assert set(provider.spoken) <= set(PROVIDER_FORMATS)
    assert re.fullmatch(r"|echo:|https?://[a-z0-9.{}_/:-]+[a-z0-9}]", provider.base_url)
    names = [setting.name for setting in provider.settings]
    assert len(set(names)) == len(names)
    for setting in provider.settings:
        assert re.fullmatch("[a-z][a-z0-9_]{0,39}", setting.name)
        assert setting.description.endswith(".")
        assert not (setting.is_required and setting.default)
        assert not setting.default or re.fullmatch(setting.pattern, setting.default)
    key = KEYS.get(name, "one-word")
    assert re.fullmatch(provider.key_form.pattern, key)


@pytest.mark.parametrize(("name", "provider"), ALL, ids=[name for name, _ in ALL])
def test_it_offers_every_model_in_some_format_it_speaks(name: str, provider: Provider) -> None:
    for model in MODELS:
        for base_url in ("", ELSEWHERE):
            offered = provider.formats(base_url, model, setting_values(provider))
            assert offered, (name, model)
            assert set(offered) <= set(provider.spoken)


@pytest.mark.parametrize(("name", "provider"), SENDING, ids=[name for name, _ in SENDING])
@pytest.mark.parametrize("is_stream", [False, True])
def test_it_asks_a_whole_address_at_the_place_the_channel_says(
    name: str, provider: Provider, is_stream: bool
) -> None:
    for format_name in provider.spoken:
        for base_url in (provider.base_url, ELSEWHERE):
            one = attempt(
                provider,
                format_name,
                model="a/b c:1",
                key=KEYS.get(name, "one-word"),
                base_url=base_url or ELSEWHERE,
                is_stream=is_stream,
                body={"model": "a/b c:1", "stream": is_stream, "messages": []},
                settings=setting_values(provider),
            )
            request = asked(provider, one)
            parts = urlsplit(request.url)
            assert parts.scheme in ("http", "https"), request.url
            assert re.fullmatch(r"[!-~]+", request.url), request.url
            assert "{" not in request.url
            assert "//" not in parts.path
            assert base_url != ELSEWHERE or request.url.startswith(ELSEWHERE)
            assert request.headers["content-type"] == "application/json"
            assert all(re.fullmatch("[!-~ ]+", value) for value in request.headers.values())


OWN = [
    ("deepseek", "openai_chat", "https://api.deepseek.com/chat/completions"),
    ("deepseek", "anthropic_messages", "https://api.deepseek.com/anthropic/v1/messages"),
    ("deepseek", "openai_completions", "https://api.deepseek.com/beta/completions"),
    ("mistral", "openai_chat", "https://api.mistral.ai/v1/chat/completions"),
    ("xai", "openai_responses", "https://api.x.ai/v1/responses"),
    ("openrouter", "anthropic_messages", "https://openrouter.ai/api/v1/messages"),
    ("ollama", "openai_chat", "http://localhost:11434/v1/chat/completions"),
    ("ollama", "openai_completions", "http://localhost:11434/v1/completions"),
    ("ali", "openai_chat", "https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions"),
    ("ali", "anthropic_messages", "https://dashscope.aliyuncs.com/apps/anthropic/v1/messages"),
    ("zhipu", "openai_chat", "https://open.bigmodel.cn/api/paas/v4/chat/completions"),
    ("moonshot", "anthropic_messages", "https://api.moonshot.cn/anthropic/v1/messages"),
    ("minimax", "openai_chat", "https://api.minimax.io/v1/chat/completions"),
    ("volcengine", "openai_responses", "https://ark.cn-beijing.volces.com/api/v3/responses"),
    ("siliconflow", "anthropic_messages", "https://api.siliconflow.cn/v1/messages"),
    ("groq", "openai_chat", "https://api.groq.com/openai/v1/chat/completions"),
    ("perplexity", "openai_chat", "https://api.perplexity.ai/chat/completions"),
    ("cohere", "openai_chat", "https://api.cohere.ai/compatibility/v1/chat/completions"),
    (
        "cloudflare",
        "openai_chat",
        "https://api.cloudflare.com/client/v4/accounts/abc123/ai/v1/chat/completions",
    ),
    ("baidu_v2", "openai_chat", "https://qianfan.baidubce.com/v2/chat/completions"),
]


@pytest.mark.parametrize(("name", "format_name", "url"), OWN)
def test_vendors_that_differ_in_their_address_only(name: str, format_name: str, url: str) -> None:
    provider = PROVIDERS[name]
    one = attempt(provider, format_name, settings=setting_values(provider))
    assert asked(provider, one).url == url


def test_a_peer_gateway_gets_the_key_where_each_format_has_it() -> None:
    peer = PROVIDERS["new_api"]

    def headers(format_name: str) -> dict[str, str]:
        one = attempt(peer, format_name, base_url="https://peer.example.com", key="sk-peer")
        return {k: v for k, v in asked(peer, one).headers.items() if "sk-peer" in v}

    assert headers("openai_chat") == {"authorization": "Bearer sk-peer"}
    assert headers("openai_responses") == {"authorization": "Bearer sk-peer"}
    assert headers("anthropic_messages") == {
        "authorization": "Bearer sk-peer",
        "x-api-key": "sk-peer",
    }
    assert headers("gemini") == {"x-goog-api-key": "sk-peer"}
    streamed = attempt(
        peer, "gemini", model="gemini-2.5-pro", base_url="https://p.example.com", is_stream=True
    )
    assert asked(peer, streamed).url == (
        "https://p.example.com/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"
    )


def test_what_is_written_between_two_texts_is_asked_where_the_vendor_offers_it() -> None:
    """Legacy completions with a suffix; other models of the vendor are asked as in a chat."""
    deepseek = PROVIDERS["deepseek"]
    assert "openai_completions" in deepseek.formats("", "deepseek-chat", {})
    assert "openai_completions" not in deepseek.formats("", "deepseek-reasoner", {})
    assert deepseek.formats("", "deepseek-chat", {})[0] == "openai_chat"


def test_what_follows_the_bar_in_a_key_of_qianfan_is_the_application() -> None:
    qianfan = PROVIDERS["baidu_v2"]
    headers = asked(qianfan, attempt(qianfan, "openai_chat", key="bce-1|app-2")).headers
    assert (headers["authorization"], headers["appid"]) == ("Bearer bce-1", "app-2")
    assert "appid" not in asked(qianfan, attempt(qianfan, "openai_chat", key="bce-1")).headers


def test_without_a_key_nothing_is_sent_for_one() -> None:
    ollama = PROVIDERS["ollama"]
    for format_name in ollama.spoken:
        headers = asked(ollama, attempt(ollama, format_name, key="")).headers
        assert not {"authorization", "x-api-key"} & set(headers)


def test_a_clients_version_and_betas_go_with_its_messages() -> None:
    deepseek = PROVIDERS["deepseek"]
    clients = {"anthropic-version": "2099-01-01", "anthropic-beta": "b"}
    headers = asked(deepseek, attempt(deepseek, "anthropic_messages", headers=clients)).headers
    assert clients.items() <= headers.items()
    assert (
        asked(deepseek, attempt(deepseek, "anthropic_messages")).headers["anthropic-version"]
        == "2023-06-01"
    )


@pytest.mark.parametrize(
    ("base_url", "settings", "is_stream", "url"),
    [
        ("https://x.io/chat?v=1", {}, True, "https://x.io/chat?v=1"),
        ("https://x.io/{model}/run", {}, False, "https://x.io/a%2Fb/run"),
        (
            "https://x.io/{model}:{action}?v=1",
            {"format": "gemini"},
            True,
            "https://x.io/a%2Fb:streamGenerateContent?v=1&alt=sse",
        ),
        (
            "https://x.io/{model}:{action}",
            {"format": "gemini"},
            False,
            "https://x.io/a%2Fb:generateContent",
        ),
    ],
)
def test_a_custom_channel_has_the_whole_address(
    base_url: str, settings: dict[str, str], is_stream: bool, url: str
) -> None:
    custom = PROVIDERS["custom"]
    (format_name,) = custom.formats(base_url, "a/b", settings)
    one = attempt(
        custom, format_name, model="a/b", base_url=base_url, settings=settings, is_stream=is_stream
    )
    assert asked(custom, one).url == url


def test_a_custom_channel_may_have_its_key_in_a_header_of_its_own() -> None:
    custom = PROVIDERS["custom"]
    settings = {"key_header": "Api-Key"}
    headers = asked(
        custom, attempt(custom, "openai_chat", base_url="https://x.io", settings=settings)
    ).headers
    assert headers == {"api-key": "k", "content-type": "application/json"}
