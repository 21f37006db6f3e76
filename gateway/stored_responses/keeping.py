"""What is to be remembered of an answer whose client lets it be kept. Pure."""

from typing import NamedTuple

import msgspec

from gateway.call.opened import Opened
from gateway.formats.contract import Answer, ChatCall, Dialect, KeepingDialect, StreamReader
from gateway.stored_responses.store import KeptResponse
from ledger.pricing import output_tokens, prompt_tokens
from ledger.streams.charge.events import QuotaReserved
from ledger.usage import Usage


class Keeping(NamedTuple):
    """A call that was answered, and what is billed for it."""

    opening: QuotaReserved
    opened: Opened
    call: ChatCall
    usage: Usage

    def of(
        self, dialect: Dialect, answer: Answer | StreamReader, told: bytes
    ) -> tuple[KeptResponse, str] | None:
        """Where the answer is kept, and its document where that is to be kept here, for the client
        was told another than its provider made; None where there is nothing to be kept.

        `told`: the whole answer, or the last events of a stream, as the client reads it.
        """
        made = None
        is_kept_here = self.call.keeps_here and self.opened.wire.retells
        if is_kept_here and isinstance(dialect, KeepingDialect):
            made = dialect.made(told)
        if made is None and not answer.kept_id:
            return None
        is_there = bool(answer.kept_id)
        kept = KeptResponse(
            account_id=self.opening.account_id,
            response_id=answer.kept_id if made is None else made.answer_id,
            key_id=self.opening.key_id,
            channel_id=self.opened.candidate.channel_id if is_there else None,
            channel_key_id=self.opened.key_id if is_there else None,
            model=self.call.model,
            context_tokens=prompt_tokens(self.usage) + output_tokens(self.usage),
            output_tokens=output_tokens(self.usage),
            item_ids=answer.kept_items if made is None else made.item_ids,
        )
        return kept, "" if made is None else msgspec.json.encode(made.document).decode()
