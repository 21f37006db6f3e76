"""What is to be remembered of an answer whose client lets it be kept. Pure."""

from typing import NamedTuple
from uuid import UUID

import msgspec

from gateway.formats.contract import StoringTranslation, StreamReader, Translation
from gateway.formats.values import Answer, ChatCall
from gateway.stored_responses.store import StoredResponse
from ledger.pricing import output_tokens, prompt_tokens
from ledger.streams.charge.events import QuotaReserved
from ledger.usage import Usage


class AnsweredBy(NamedTuple):
    """Who answered: a channel by one of its keys. `is_retold`: what the client was told was written
    here, under ids that the provider does not know.
    """

    channel_id: UUID
    channel_key_id: UUID | None
    is_retold: bool


class Keeping(NamedTuple):
    """A call that was answered, and what is billed for it."""

    opening: QuotaReserved
    answered_by: AnsweredBy
    call: ChatCall
    usage: Usage

    def of(
        self, translation: Translation, answer: Answer | StreamReader, told: bytes
    ) -> tuple[StoredResponse, str] | None:
        """Where the answer is kept, and its document where that is to be kept here, for the client
        was told another than its provider made; None where there is nothing to be kept.

        `told`: the whole answer, or the last events of a stream, as the client reads it.
        """
        made = None
        is_kept_here = self.call.keeps_here and self.answered_by.is_retold
        if is_kept_here and isinstance(translation, StoringTranslation):
            made = translation.made(told)
        if made is None and not answer.stored_id:
            return None
        is_there = bool(answer.stored_id)
        kept = StoredResponse(
            account_id=self.opening.account_id,
            response_id=answer.stored_id if made is None else made.answer_id,
            key_id=self.opening.key_id,
            channel_id=self.answered_by.channel_id if is_there else None,
            channel_key_id=self.answered_by.channel_key_id if is_there else None,
            model=self.call.model,
            context_tokens=prompt_tokens(self.usage) + output_tokens(self.usage),
            output_tokens=output_tokens(self.usage),
            item_ids=answer.stored_items if made is None else made.item_ids,
        )
        return kept, "" if made is None else msgspec.json.encode(made.document).decode()
