"""What can be said of channels, one function of `actions.py` each."""

from pathlib import Path

from admin_api.channels.asker import ASKED_IN
from ledger.streams.routes import KEY_CHOICES
from tollgate.commands.arguments import DATA_DIR
from tollgate.commands.contract import Action, argument

_CHANNEL = (argument("channel", metavar="CHANNEL", help="the channel's id"), DATA_DIR)
_KEY = (
    _CHANNEL[0],
    argument("key", metavar="KEY", help="the key's id: see `tollgate channel keys CHANNEL`"),
    argument("--reason", metavar="CODE", help="a code of your own, kept in the ledger for ever"),
    DATA_DIR,
)
_NEW_CHANNEL = (
    argument("name"),
    argument("--type", required=True, help="the kind of provider: see `tollgate channel types`"),
    argument("--base-url", metavar="URL", help="where it is, if not at its usual address"),
    argument(
        "--model",
        action="append",
        required=True,
        metavar="NAME[=UPSTREAM]",
        help="serves it, under the provider's name for it; repeat for more",
    ),
    argument("--keys", action="store_true", help="read the provider's keys from standard input"),
    argument(
        "--key-choice",
        choices=KEY_CHOICES,
        help="which key a call is sent with; in_order: the first that may be asked",
    ),
    argument("--group", action="append", help="serves this price group; repeat for more"),
    argument("--priority", type=int),
    argument("--weight", type=int),
    argument(
        "--setting",
        action="append",
        metavar="NAME=VALUE",
        help="what its type needs besides, as in region=eu-west-1; repeat for more",
    ),
    argument(
        "--thinking-to-content",
        action="store_true",
        default=None,
        help="tell thoughts as part of the text",
    ),
    argument(
        "--force-format",
        action="store_true",
        default=None,
        help="write answers anew, with nothing but what their format knows",
    ),
    argument(
        "--system-prompt-file",
        type=Path,
        metavar="FILE",
        help="the system prompt where a client has none",
    ),
    argument(
        "--system-prompt-leads",
        action="store_true",
        default=None,
        help="put it before the client's system prompt",
    ),
    argument(
        "--keeps-suffix",
        action="append",
        metavar="UPSTREAM",
        help="its model's name ends like -thinking and is the whole name; repeat for more",
    ),
    argument(
        "--proxy-file",
        type=Path,
        metavar="FILE",
        help="holds the address of its proxy (http, https, socks5), with user and password",
    ),
    argument(
        "--trusted-certificates-file",
        type=Path,
        metavar="FILE",
        help="whom to believe instead of the system's, in PEM",
    ),
    argument("--connect-timeout-ms", type=int, help="until its provider can be spoken to"),
    argument("--first-byte-timeout-ms", type=int, help="until it begins to answer"),
    argument("--idle-timeout-ms", type=int, help="between two pieces of an answer"),
    argument(
        "--first-content-timeout-ms",
        type=int,
        help="until a stream says something; else it is given up, and another channel is asked",
    ),
    argument(
        "--parameter-overrides-file",
        type=Path,
        metavar="FILE",
        help="what to change in requests, as JSON: members to set, or operations",
    ),
    argument(
        "--header-overrides-file",
        type=Path,
        metavar="FILE",
        help="headers to send to the provider, as JSON",
    ),
    argument(
        "--status-code",
        action="append",
        metavar="TOLD=SAID",
        help="what clients are told for a provider's status, as in 404=503; repeat for more",
    ),
    argument(
        "--follow-models",
        action="store_true",
        default=None,
        help="of --model a=b and --model b=c, a is c",
    ),
    DATA_DIR,
)
ACTIONS = (
    Action(
        "add", "add a channel; prints its id", "tollgate.commands.channel.actions:add", _NEW_CHANNEL
    ),
    Action("list", "list channels", "tollgate.commands.channel.actions:list_channels", (DATA_DIR,)),
    Action("types", "list the kinds of providers", "tollgate.commands.channel.actions:list_types"),
    Action("pause", "send a channel no calls", "tollgate.commands.channel.actions:pause", _CHANNEL),
    Action("resume", "send it calls again", "tollgate.commands.channel.actions:resume", _CHANNEL),
    Action(
        "keys",
        "list a channel's keys: whether calls are sent with each, and why not",
        "tollgate.commands.channel.actions:list_keys",
        _CHANNEL,
    ),
    Action(
        "pause-key",
        "send no calls with a key, until it is resumed",
        "tollgate.commands.channel.actions:pause_key",
        _KEY,
    ),
    Action(
        "resume-key",
        "send calls with a key again: paused, refused, or out of money",
        "tollgate.commands.channel.actions:resume_key",
        _KEY,
    ),
    Action(
        "health",
        "list a channel's models that do not answer",
        "tollgate.commands.channel.actions:list_health",
        _CHANNEL,
    ),
    Action(
        "close-breakers",
        "ask a channel as if it had never failed",
        "tollgate.commands.channel.actions:close_breakers",
        _CHANNEL,
    ),
    Action(
        "test",
        "ask a model of a channel for a few tokens, and show all that went over the wire",
        "tollgate.commands.channel.questions:ask",
        (
            _CHANNEL[0],
            argument("model", metavar="MODEL", help="one of the channel's, as clients name it"),
            argument("--format", choices=ASKED_IN, default="openai_chat", help="as its clients do"),
            argument("--stream", action="store_true", help="as a stream"),
            argument("--key", metavar="KEY", help="with this key; else the first that is used"),
            DATA_DIR,
        ),
    ),
    Action(
        "models",
        "list what a channel's vendor offers now, and take some of it over",
        "tollgate.commands.channel.questions:models",
        (
            _CHANNEL[0],
            argument(
                "--add",
                action="append",
                metavar="NAME",
                help="serve the vendor's model of this name; repeat for more",
            ),
            argument(
                "--drop",
                action="append",
                metavar="NAME",
                help="serve it no more; repeat for more",
            ),
            DATA_DIR,
        ),
    ),
    Action(
        "remove",
        "remove a channel for ever, and its keys",
        "tollgate.commands.channel.actions:remove",
        _CHANNEL,
    ),
)
