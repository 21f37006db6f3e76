"""The command-line tools for Node: how each is told to carry out one turn without anybody there.

A tool reaches nothing but the gateway, and writes to nothing but its home: its reports, updates
and questions are turned off by its own settings.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance import node_clients
from tests.conformance.node_clients import MODULES, NODE

NATIVE = {"claude": "@anthropic-ai/claude-code", "codex": "@openai/codex"}
"""Tools whose program lies in a package beside theirs, one for every platform."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a tool prints of its usage: all input, what of it was cached, all output, thoughts."""

    given: int
    cached: int
    made: int
    thought: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What a tool printed in the end."""

    text: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class Place:
    """The gateway's address, a key and a model there, and a folder for the tool alone."""

    base_url: str
    key: str
    model: str
    home: Path


def claude(place: Place, prompt: str) -> Turn:
    """One turn of claude-code."""
    models = ("ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL")
    environment = {
        "ANTHROPIC_BASE_URL": place.base_url,
        "ANTHROPIC_API_KEY": place.key,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "MAX_THINKING_TOKENS": "4000",
        **dict.fromkeys(models, place.model),
    }
    command = [_native("claude", "claude"), "-p", prompt, "--output-format", "json"]
    command += ["--permission-mode", "acceptEdits"]
    done = node_clients.run(command, home=place.home, environment=environment)
    told = json.loads(done.stdout)
    assert not told["is_error"], told
    usage = told["usage"]
    cached = usage["cache_read_input_tokens"]
    given = usage["input_tokens"] + cached + usage["cache_creation_input_tokens"]
    thought = usage["output_tokens_details"]["thinking_tokens"]
    return Turn(told["result"], Counts(given, cached, usage["output_tokens"], thought))


CODEX_SETTINGS = """\
model_provider = "tollgate"
model_catalog_json = "{home}/models.json"
approval_policy = "never"
sandbox_mode = "danger-full-access"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.tollgate]
name = "Tollgate"
base_url = "{base_url}/v1"
env_key = "TOLLGATE_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
"""


CODEX_MODEL = {
    "display_name": "Any",
    "description": "",
    "default_reasoning_level": "medium",
    "supported_reasoning_levels": [{"effort": "medium", "description": ""}],
    "shell_type": "shell_command",
    "visibility": "list",
    "supported_in_api": True,
    "priority": 1,
    "apply_patch_tool_type": "freeform",
    "web_search_tool_type": "text",
    "support_verbosity": True,
    "default_verbosity": "low",
    "supports_parallel_tool_calls": True,
    "supports_reasoning_summaries": True,
    "supports_reasoning_summary_parameter": True,
    "supports_search_tool": False,
    "truncation_policy": {"mode": "tokens", "limit": 10_000},
    "context_window": 272_000,
    "experimental_supported_tools": [],
    "base_instructions": "You patch files.",
}
"""What codex is told of a model that it does not know: it patches files by a custom tool."""


def codex(place: Place, prompt: str) -> Turn:
    """One turn of codex."""
    settings = place.home / ".codex" / "config.toml"
    settings.parent.mkdir()
    settings.write_text(CODEX_SETTINGS.format(base_url=place.base_url, home=place.home))
    models = {"models": [{"slug": place.model, **CODEX_MODEL}]}
    (place.home / "models.json").write_text(json.dumps(models))
    options = ["exec", "--json", "--skip-git-repo-check", "-m", place.model, prompt]
    done = node_clients.run(
        [_native("codex", "codex"), *options],
        home=place.home,
        environment={"TOLLGATE_KEY": place.key},
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    (usage,) = [event["usage"] for event in events if event["type"] == "turn.completed"]
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    said = [item["text"] for item in items if item["type"] == "agent_message"]
    counts = Counts(
        usage["input_tokens"],
        usage["cached_input_tokens"],
        usage["output_tokens"],
        usage["reasoning_output_tokens"],
    )
    return Turn(said[-1], counts)


GEMINI_SETTINGS = {
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "security": {"auth": {"selectedType": "gemini-api-key"}},
}
GEMINI_THINKS = {"includeThoughts": True, "thinkingBudget": 4_000}
"""As it asks models to think whose names it knows."""


def gemini(place: Place, prompt: str) -> Turn:
    """One turn of gemini-cli."""
    settings = place.home / ".gemini" / "settings.json"
    settings.parent.mkdir()
    thinking = {"generateContentConfig": {"thinkingConfig": GEMINI_THINKS}}
    override = {"match": {"model": place.model}, "modelConfig": thinking}
    models = {"modelConfigs": {"customOverrides": [override]}}
    settings.write_text(json.dumps(GEMINI_SETTINGS | models))
    program = str(MODULES / "@google" / "gemini-cli" / "bundle" / "gemini.js")
    options = ["--approval-mode", "yolo", "--skip-trust", "--output-format", "json"]
    done = node_clients.run(
        [str(NODE), program, "-m", place.model, *options, "-p", prompt],
        home=place.home,
        environment={"GEMINI_API_KEY": place.key, "GOOGLE_GEMINI_BASE_URL": place.base_url},
    )
    told: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    (model,) = told["stats"]["models"].values()
    tokens = model["tokens"]
    made = tokens["candidates"] + tokens["thoughts"]
    counts = Counts(tokens["prompt"], tokens["cached"], made, tokens["thoughts"])
    return Turn(told["response"], counts)


def _native(tool: str, name: str) -> str:
    package = MODULES / NATIVE[tool]
    found = [path for path in package.parent.glob(f"{package.name}-*/**/{name}") if path.is_file()]
    assert len(found) == 1, found
    return str(found[0])


COMMAND_LINES: dict[str, tuple[Callable[[Place, str], Turn], str, str]] = {
    "claude": (claude, 'Read {"file_path":"%s"}', "anthropic_messages"),
    "codex": (codex, 'exec_command {"cmd":"cat %s"}', "openai_responses"),
    "gemini": (gemini, 'read_file {"file_path":"%s"}', "gemini"),
}
"""How to run it, how its tool that reads a file is called, and its own format."""
