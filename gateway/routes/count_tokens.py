"""How many tokens a prompt has, without asking a provider: free, and an estimate for models whose
tokenizer is not ours.

Sources: https://docs.anthropic.com/en/api/messages-count-tokens and
https://ai.google.dev/api/tokens#method:-models.counttokens
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from gateway.call.callers import identify
from gateway.call.metering.meter import likely_prompt_tokens
from gateway.call.metering.tokenizer import Tokenizer
from gateway.conversation.reasoning_suffixes import Suffix
from gateway.errors import GatewayError
from gateway.formats.contract import Format
from gateway.formats.translator import Asking
from gateway.formats.values import ChatCall
from gateway.http.body import BodyLimits, ClientGone, read_body, require_json_type
from gateway.http.exchange import Exchange
from gateway.http.strict_json import parse_off_loop
from ledger.networks import Network
from projections.configuration import Configuration

_JSON = [(b"content-type", b"application/json; charset=utf-8"), (b"cache-control", b"no-store")]

ReadCounting = Callable[[dict[str, Any], bytes], ChatCall]


class CountingWords(NamedTuple):
    """How a format asks for a count, and the word under which it is told."""

    client_format: Format
    read: ReadCounting
    answer_word: str


class TokenCounting:
    """Answers the token counting of one format."""

    def __init__(
        self,
        words: CountingWords,
        configuration: Configuration,
        tokenizer: Tokenizer,
        trusted_proxies: Sequence[Network],
        limits: BodyLimits,
    ) -> None:
        self._format, self._read, self._answer_word = words
        self._configuration = configuration
        self._tokenizer = tokenizer
        self._trusted_proxies = trusted_proxies
        self._limits = limits

    async def serve(self, exchange: Exchange) -> None:
        """Answer one exchange."""
        try:
            await identify(exchange, self._configuration, self._trusted_proxies)
            require_json_type(exchange.headers)
            body = await read_body(exchange.headers, exchange.receive, self._limits)
            call = self._read(await parse_off_loop(body), body)
            asking = Asking(Suffix(call.model))
            counted = await asyncio.to_thread(
                likely_prompt_tokens, self._format, self._tokenizer, call, self._format.name, asking
            )
        except ClientGone:
            return
        except GatewayError as error:
            status, headers, told = self._format.error_body(error, exchange.request_id)
            await exchange.respond(status, headers, told)
        else:
            await exchange.respond(200, _JSON, msgspec.json.encode({self._answer_word: counted}))
