"""The desk's questions to providers, asked by the gateway's parts, in a process of any kind."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec

from admin_api.channels.asker import AnsweredQuestion, Question, ShownExchange
from admin_api.errors import NotAnswered
from gateway.call.channel_questions import (
    ChannelQuestions,
    ProviderExchange,
    QuestionOutcome,
    QuestionParts,
)
from gateway.call.charges.own_charges import OwnCharges
from gateway.call.metering.provider_costs import ProviderCosts
from gateway.errors import GatewayError
from gateway.formats.registry import FORMATS, PROVIDER_FORMATS
from gateway.http.client.clients import ProviderClients
from gateway.media.egress import Egress
from gateway.owned_tasks import OwnedTasks
from gateway.providers.registry import PROVIDERS
from ledger.streams.channel import Channel
from tollgate.channel_vault import channel_vault
from tollgate.core import Core


class CoreAsker:
    """Opens its connections for a question, and closes them after it: people ask seldom."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def ask(self, channel_id: UUID, state: Channel, question: Question) -> AnsweredQuestion:
        """For a few tokens, which are booked."""
        async with self._questions() as questions:
            asked = await questions.ask(
                channel_id,
                state,
                question.model,
                question.key_id,
                asked_in=question.asked_in,
                stream=question.stream,
            )
        return _told(asked)

    async def offered(self, channel_id: UUID, state: Channel, key_id: UUID | None) -> list[str]:
        """The vendor's own names of its models. Raises NotAnswered."""
        async with self._questions() as questions:
            try:
                return await questions.offered(channel_id, state, key_id)
            except GatewayError as error:
                raise NotAnswered(error.message) from error

    @asynccontextmanager
    async def _questions(self) -> AsyncIterator[ChannelQuestions]:
        core, upstreams, egress = self._core, ProviderClients(), Egress()
        node = f"{socket.gethostname()}/desk"
        try:
            yield ChannelQuestions(
                QuestionParts(
                    sealed=channel_vault(core, upstreams, node, OwnedTasks()),
                    formats=FORMATS,
                    provider_formats=PROVIDER_FORMATS,
                    providers=PROVIDERS,
                    egress=egress,
                    costs=ProviderCosts(core.configuration.cost_price),
                    own_charges=OwnCharges(
                        core.pool, core.writer, core.vault, core.configuration, node
                    ),
                )
            )
        finally:
            await upstreams.close()
            await egress.close()


def _told(asked: QuestionOutcome) -> AnsweredQuestion:
    attempt = asked.attempt
    usage = {} if attempt is None or attempt.usage is None else msgspec.to_builtins(attempt.usage)
    cost = None if attempt is None else attempt.cost
    return AnsweredQuestion(
        error=asked.error,
        finding=asked.finding,
        duration_ms=0 if attempt is None else attempt.duration_ms,
        usage={kind: count for kind, count in usage.items() if count},
        cost_nanos=None if cost is None else cost.amount_nanos,
        exchange=None if asked.exchange is None else _exchange(asked.exchange),
    )


def _exchange(one: ProviderExchange) -> ShownExchange:
    return ShownExchange(
        method=one.method,
        url=one.url,
        request_headers=one.request_headers,
        request_body=one.request_body,
        status=one.status,
        answer_headers=one.answer_headers,
        answer_body=bytes(one.answer_body).decode("utf-8", "replace"),
    )
