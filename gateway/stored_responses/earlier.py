"""What a call goes on from: an answer that is kept, or items of such answers by their ids.

All of it must have been made for the account that asks. What providers keep must be at one place;
what is kept here is put into the call, as if the client had sent it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn
from uuid import UUID

from msgspec.structs import replace

from gateway.errors import InvalidRequest
from gateway.formats.values import ChatCall
from gateway.http.raw_members import edited
from gateway.stored_responses.store import StoredResponse, StoredResponses


class StoredAt(NamedTuple):
    """Where a provider keeps something."""

    channel_id: UUID
    channel_key_id: UUID | None


async def with_earlier(
    kept: StoredResponses, account_id: UUID, call: ChatCall
) -> tuple[ChatCall, StoredAt | None]:
    """The call with what it goes on from, and the place that must be asked for what is still named.

    Raises InvalidRequest, in OpenAI's words where nothing is kept for this account; Overloaded when
    nobody can say.
    """
    at_providers: list[StoredResponse] = []
    tokens = 0
    if call.continues:
        whole = await _whole(kept, account_id, call.continues)
        at_providers.append(whole)
        tokens = whole.context_tokens
    if call.refers_to:
        holders = await kept.find_items(account_id, call.refers_to)
        call = _with_items(call, _items_of((await kept.documents(holders)).values()))
        holders = [each for each in holders if not set(call.refers_to).isdisjoint(each.item_ids)]
        _require_all(call.refers_to, holders)
        at_providers += holders
        tokens += sum(each.output_tokens for each in holders)
    return replace(call, earlier_tokens=tokens), _one_place(at_providers)


async def _whole(kept: StoredResponses, account_id: UUID, response_id: str) -> StoredResponse:
    whole = await kept.find(account_id, response_id)
    if whole is None:
        raise InvalidRequest(
            f"Previous response with id '{response_id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    if whole.channel_id is None:
        raise InvalidRequest(
            f"What went into the response '{response_id}' is not kept: send the whole conversation "
            "in 'input'.",
            param="previous_response_id",
            code="previous_response_unavailable",
        )
    return whole


def _items_of(documents: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        item["id"]: item for document in documents for item in document["output"] if "id" in item
    }


def _with_items(call: ChatCall, items: Mapping[str, dict[str, Any]]) -> ChatCall:
    """The call with these items in the place of their ids."""
    if not items:
        return call
    given = [
        items.get(item["id"], item) if item.get("type") == "item_reference" else item
        for item in call.document["input"]
    ]
    return replace(
        call,
        document={**call.document, "input": given},
        body=edited(call.body, {"input": given}),
        refers_to=tuple(each for each in call.refers_to if each not in items),
    )


def _require_all(item_ids: Sequence[str], holders: Sequence[StoredResponse]) -> None:
    known = {
        item_id for each in holders if each.channel_id is not None for item_id in each.item_ids
    }
    for item_id in item_ids:
        if item_id not in known:
            _refuse_item(item_id)


def _refuse_item(item_id: str) -> NoReturn:
    raise InvalidRequest(
        f"Item with id '{item_id}' not found: nobody keeps it for this account. Send the item "
        "itself in 'input'; clients that send ids of items by themselves do not, with 'store' set "
        "to false.",
        param="input",
        code="item_not_found",
        status=404,
    )


def _one_place(at_providers: Sequence[StoredResponse]) -> StoredAt | None:
    places = {
        StoredAt(each.channel_id, each.channel_key_id)
        for each in at_providers
        if each.channel_id is not None
    }
    if len(places) > 1:
        raise InvalidRequest(
            "What 'input' refers to is kept by more than one provider: send the items themselves.",
            param="input",
            code="items_apart",
        )
    return places.pop() if places else None
