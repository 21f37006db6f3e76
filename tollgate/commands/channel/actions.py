"""`tollgate channel`: the ways to providers. Provider keys are read from standard input."""

import argparse
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from admin_api.channels import health, provider_keys
from admin_api.channels import operations as channels
from admin_api.channels.health import ChannelHealthView
from admin_api.channels.operations import ChannelInput, ChannelView
from admin_api.channels.provider_keys import KeyView
from admin_api.desk import Desk
from admin_api.fields.inputs import format_moment
from tollgate.commands.at_the_desk import ACTOR, identifier, pairs, perform, print_table
from tollgate.commands.contract import OK, UsageRefused
from tollgate.core import channel_types


def add(arguments: argparse.Namespace) -> int:
    given = ChannelInput(
        name=arguments.name,
        type=arguments.type,
        base_url=arguments.base_url,
        keys=_keys() if arguments.keys else None,
        key_choice=arguments.key_choice,
        models=_models(arguments.model),
        groups=arguments.group,
        priority=arguments.priority,
        weight=arguments.weight,
        settings=pairs(arguments.setting) if arguments.setting else None,
        thinking_to_content=arguments.thinking_to_content,
        force_format=arguments.force_format,
        system_prompt=_text(arguments.system_prompt_file),
        system_prompt_leads=arguments.system_prompt_leads,
        keeps_suffix=arguments.keeps_suffix,
        proxy=_line(arguments.proxy_file),
        trusted_certificates=_text(arguments.trusted_certificates_file),
        connect_timeout_ms=arguments.connect_timeout_ms,
        first_byte_timeout_ms=arguments.first_byte_timeout_ms,
        idle_timeout_ms=arguments.idle_timeout_ms,
        first_content_timeout_ms=arguments.first_content_timeout_ms,
        parameter_overrides=_text(arguments.parameter_overrides_file),
        header_overrides=_text(arguments.header_overrides_file),
        status_codes=_statuses(arguments.status_code) if arguments.status_code else None,
        follow_models=arguments.follow_models,
    )
    view = perform(arguments, lambda desk: _added(desk, given), may_create=True)
    print(view.channel_id)
    address = view.state.route.base_url
    if given.base_url and address != given.base_url:
        print(f"its address is {address}", file=sys.stderr)
    return OK


async def _added(desk: Desk, given: ChannelInput) -> ChannelView:
    channel_id = await channels.add_channel(desk, given, actor=ACTOR)
    return await channels.read_channel(desk, channel_id)


def _keys() -> list[str]:
    """One key a line, or a key that is a JSON object over several, up to the first empty line.

    Never an argument: command lines are there for everybody to read.
    """
    if sys.stdin.isatty():
        print("The provider's keys, one a line; an empty line ends:", file=sys.stderr)
    keys = []
    for line in sys.stdin:
        if not line.strip():
            break
        key = line.strip()
        while key.startswith("{") and not _is_json(key):
            more = sys.stdin.readline()
            if not more:
                raise UsageRefused("a key begins like a JSON object and does not end")
            key += more
        keys.append(key.strip())
    return keys


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _text(path: Path | None) -> str | None:
    """What a file says. Raises UsageRefused."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageRefused(f"{path} cannot be read as text: {error}") from error


def _statuses(texts: list[str]) -> dict[str, int]:
    """`the provider's=what is told`. Raises UsageRefused."""
    found = pairs(texts)
    if not all(value.isascii() and value.isdigit() for value in found.values()):
        raise UsageRefused("a status code is a number, as in 404=503")
    return {told: int(said) for told, said in found.items()}


def _line(path: Path | None) -> str | None:
    """What a file of one line says: never an argument, for it may hold a password."""
    text = _text(path)
    return None if text is None else text.strip()


def list_types(_arguments: argparse.Namespace) -> int:
    print_table(
        ("TYPE", "ADDRESS", "FORMATS", "SETTINGS"),
        (
            (
                name,
                kind.base_url or "(to be given)",
                ",".join(kind.formats),
                ",".join(f"{one.name}{'!' * one.is_required}" for one in kind.settings) or "-",
            )
            for name, kind in sorted(channel_types().items())
        ),
    )
    return OK


def _models(texts: list[str]) -> dict[str, str]:
    """`client's name=provider's name`, or one name for both."""
    found = {}
    for text in texts:
        name, _, upstream = text.partition("=")
        found[name] = upstream or name
    return found


def list_channels(arguments: argparse.Namespace) -> int:
    views = perform(arguments, channels.list_channels)
    print_table(
        ("ID", "NAME", "TYPE", "STATE", "KEYS", "ADDRESS", "MODELS"),
        (
            (
                view.channel_id,
                view.name or "-",
                view.state.route.type,
                "paused" if view.state.is_paused else "active",
                f"{len(view.state.usable_keys)}/{len(view.state.route.key_ids)}",
                view.state.route.base_url or "-",
                ",".join(view.state.route.models),
            )
            for view in views
        ),
    )
    return OK


def pause(arguments: argparse.Namespace) -> int:
    return _set_paused(arguments, is_paused=True)


def resume(arguments: argparse.Namespace) -> int:
    return _set_paused(arguments, is_paused=False)


def _set_paused(arguments: argparse.Namespace, *, is_paused: bool) -> int:
    channel_id = identifier(arguments.channel)
    given = ChannelInput(is_paused=is_paused)
    perform(
        arguments,
        lambda desk: channels.change_channel(desk, channel_id, given, actor=ACTOR),
    )
    return OK


def list_keys(arguments: argparse.Namespace) -> int:
    channel_id = identifier(arguments.channel)
    views = perform(arguments, lambda desk: provider_keys.list_keys(desk, channel_id))
    _print_keys(views)
    return OK


def pause_key(arguments: argparse.Namespace) -> int:
    return _command_key(arguments, provider_keys.pause_key)


def resume_key(arguments: argparse.Namespace) -> int:
    return _command_key(arguments, provider_keys.resume_key)


def _command_key(arguments: argparse.Namespace, command: Callable[..., Awaitable[KeyView]]) -> int:
    channel_id, key_id = identifier(arguments.channel), identifier(arguments.key)
    reason = arguments.reason or ""
    view = perform(
        arguments, lambda desk: command(desk, channel_id, key_id, actor=ACTOR, reason=reason)
    )
    _print_keys([view])
    return OK


def _print_keys(views: Iterable[KeyView]) -> None:
    print_table(
        ("ID", "STATE", "REASON", "SINCE", "ANSWERED", "UNTIL", "FOR"),
        (
            (
                view.key_id,
                view.state,
                view.reason or "-",
                *(
                    "-" if moment is None else format_moment(moment)
                    for moment in (view.since, view.answered_at, view.cooling_until)
                ),
                ",".join(view.cooling_models) or "-",
            )
            for view in views
        ),
    )


def list_health(arguments: argparse.Namespace) -> int:
    channel_id = identifier(arguments.channel)
    _print_health(perform(arguments, lambda desk: health.read_health(desk, channel_id)))
    return OK


def close_breakers(arguments: argparse.Namespace) -> int:
    channel_id = identifier(arguments.channel)
    _print_health(perform(arguments, lambda desk: health.close_breakers(desk, channel_id)))
    return OK


def _print_health(view: ChannelHealthView) -> None:
    if not view.is_shared:
        print("Redis is away: each process knows its own breakers alone.", file=sys.stderr)
    print_table(
        ("MODEL", "STATE", "REASON", "TIMES", "UNTIL"),
        (
            (one.model, one.state, one.reason, one.failures, format_moment(one.open_until))
            for one in view.breakers
        ),
    )


def remove(arguments: argparse.Namespace) -> int:
    channel_id = identifier(arguments.channel)
    perform(arguments, lambda desk: channels.remove_channel(desk, channel_id, actor=ACTOR))
    return OK
