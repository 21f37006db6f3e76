"""`tollgate channel test` and `models`: asking a channel, and what its vendor offers."""

import argparse
import json

from admin_api.channels import questions
from admin_api.channels.asker import AnsweredQuestion, Question, ShownExchange
from ledger.money import format_usd
from tollgate.commands.at_the_desk import ACTOR, identifier, perform
from tollgate.commands.contract import FINDINGS, OK


def ask(arguments: argparse.Namespace) -> int:
    channel_id = identifier(arguments.channel)
    key_id = arguments.key and identifier(arguments.key)
    question = Question(arguments.model, arguments.format, arguments.stream, key_id)
    answered = perform(arguments, lambda desk: questions.ask(desk, channel_id, question))
    if answered.exchange is not None:
        _print_exchange(answered.exchange)
    print(_summary(answered))
    return FINDINGS if answered.error else OK


def models(arguments: argparse.Namespace) -> int:
    channel_id = identifier(arguments.channel)
    add, drop = arguments.add or [], arguments.drop or []
    if add or drop:
        perform(
            arguments,
            lambda desk: questions.take_over(desk, channel_id, actor=ACTOR, add=add, drop=drop),
        )
    found = perform(arguments, lambda desk: questions.offered(desk, channel_id))
    marks = dict.fromkeys(found.offered, "asked for")
    marks |= dict.fromkeys(found.new, "new") | dict.fromkeys(found.gone, "gone")
    for name in sorted(marks):
        print(f"{marks[name]:<10} {name}")
    for model in found.unpriced:
        print(f"{'no price':<10} {model}: served to nobody")
    return OK


def _print_exchange(one: ShownExchange) -> None:
    print(f"> {one.method} {one.url}")
    for name, value in one.request_headers.items():
        print(f"> {name}: {value}")
    print(f"\n{_pretty(one.request_body)}\n")
    print(f"< {one.status or 'no answer'}")
    for name, value in one.answer_headers.items():
        print(f"< {name}: {value}")
    print(f"\n{_pretty(one.answer_body)}\n")


def _pretty(body: str) -> str:
    """JSON over several lines, anything else as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


def _summary(answered: AnsweredQuestion) -> str:
    used = ", ".join(f"{kind} {count}" for kind, count in answered.usage.items()) or "nothing told"
    cost = "unknown" if answered.cost_nanos is None else f"{format_usd(answered.cost_nanos)} USD"
    came = f"failed: {answered.error}" if answered.error else "answered"
    of_key = f", which says of its key: {answered.finding}" if answered.finding else ""
    return f"{came}{of_key}; {answered.duration_ms} ms; used: {used}; cost: {cost}"
