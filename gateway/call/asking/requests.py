"""A call as a channel is asked it: in which format, and in what words."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from msgspec.structs import replace

from gateway.channels.overrides.editing import Known, overridden
from gateway.channels.overrides.headers import may_be_passed
from gateway.channels.overrides.operations import Ended
from gateway.channels.overrides.reading import Overrides
from gateway.channels.overrides.sealed import ChannelOverrides
from gateway.channels.routing import Candidate
from gateway.channels.system_prompts import ChannelTexts
from gateway.conversation.reasoning_suffixes import Suffix, read_suffix
from gateway.errors import ChannelUnusable, UpstreamFailed, UpstreamRefused
from gateway.formats.shared.vendors.accepted import accepted
from gateway.formats.shared.vendors.other_format import format_for
from gateway.formats.translator import Asking, Outgoing, Translator, Translators
from gateway.formats.values import ChatCall
from gateway.media.addressed import MediaNeeded
from gateway.media.fetch import MediaFetch
from gateway.providers.contract import Provider
from ledger.streams.routes import Shaping

_KNOWN_MAX = 10_000
_UNSHAPED = Shaping()


class _ChosenFormat(NamedTuple):
    """A candidate, the format in which it is asked (the client's own if it speaks that), and what
    its name for the model says; `spoken`: all that it speaks.
    """

    candidate: Candidate
    format: str
    suffix: Suffix
    spoken: Sequence[str]


class Client(NamedTuple):
    """Who asks, as far as a channel's overrides may look at that; and all headers as they came."""

    headers: Sequence[tuple[bytes, bytes]] = ()
    group: str = ""
    account_id: UUID | None = None


UNKNOWN_CLIENT = Client()


class WrittenRequest(NamedTuple):
    """A request as it is sent: to whom, in which format, by which translator, for what, and what.
    It is the same for all keys of a channel; `headers` are the channel's own, and say where the key
    goes into them.
    """

    candidate: Candidate
    format: str
    translator: Translator
    asking: Asking
    outgoing: Outgoing
    headers: Mapping[str, str] = {}


class CandidateRequests:
    """Of one client format."""

    def __init__(
        self,
        own_format: str,
        translators: Translators,
        providers: Mapping[str, Provider],
        texts: ChannelTexts,
        overrides: ChannelOverrides,
    ) -> None:
        self._own_format = own_format
        self._translators = translators
        self._providers = providers
        self._texts = texts
        self._overrides = overrides
        self._known: dict[int, _ChosenFormat] = {}

    def own_model(self, option: Candidate) -> str:
        """The provider's name for the model, without an ending that says how to think."""
        return self._chosen_format(option).suffix.model

    def output_tokens_least(self, options: Sequence[Candidate]) -> int:
        """The room an answer needs at one of the candidates, by what their models' names say."""
        return max(self._chosen_format(option).suffix.output_tokens_least for option in options)

    def output_tokens_sent(self, call: ChatCall, options: Sequence[Candidate]) -> int | None:
        """The limit of a choice that the call is sent with, at most: some take none so low. None:
        it has none.
        """
        limit = call.max_output_tokens
        if limit is None:
            return None
        return max(limit, *(self._output_tokens_taken(call, option) for option in options))

    async def own_words(self, options: Sequence[Candidate]) -> list[str]:
        """What candidates may add to a call: system prompts and overrides, a text a candidate; what
        cannot be read now keeps its channel from answering.
        """
        words: list[str] = []
        for option in options:
            added = await self._overrides.words(option.overrides)
            with contextlib.suppress(UpstreamFailed):
                added += await self._texts.read(option) or ""
            words.append(added)
        return [each for each in words if each]

    async def written(
        self,
        call: ChatCall,
        candidate: Candidate,
        media: MediaFetch,
        client: Client,
        tried: int,
    ) -> WrittenRequest:
        """The request for a candidate, with media put in that it does not fetch by itself, and with
        the channel's overrides; `tried`: how many were asked before. Raises UpstreamRefused and
        UpstreamFailed also where an override says so.
        """
        _, chosen, suffix, spoken = self._chosen_format(candidate)
        spoken_here = format_for(call, candidate.type, suffix, chosen, spoken)
        shaping = candidate.shaping
        # What a variant answers is no turn: nothing of it could be written anew.
        translator = self._translators.to(spoken_here, _UNSHAPED if call.variant else shaping)
        words = await self._texts.read(candidate) or ""
        asking = Asking(
            suffix,
            words,
            shaping.system_prompt_leads,
            takes_addresses=self._providers[candidate.type].habits.fetches_media,
            vendor=candidate.type,
        )
        try:
            outgoing = translator.outgoing(call, asking)
        except MediaNeeded as needed:
            await media.get(needed.media)
            outgoing = translator.outgoing(replace(call, fetched=media.fetched), asking)
        written = WrittenRequest(candidate, spoken_here, translator, asking, outgoing)
        overrides = await self._overrides.of(candidate.overrides)
        if not (overrides.operations or overrides.headers):
            return written
        return _overridden(written, overrides, _known(call, written, client, tried))

    def _output_tokens_taken(self, call: ChatCall, option: Candidate) -> int:
        """The least limit that a candidate takes; none where the client's bytes pass."""
        _, chosen, suffix, spoken = self._chosen_format(option)
        spoken_here = format_for(call, option.type, suffix, chosen, spoken)
        if spoken_here == self._own_format:
            return 0
        return accepted(option.type, spoken_here, suffix.model).output_tokens_least

    def _chosen_format(self, candidate: Candidate) -> _ChosenFormat:
        """How it is asked; found out once, for candidates are the same call after call."""
        known = self._known.get(id(candidate))
        if known is not None and known.candidate is candidate:
            return known
        provider, model = self._providers[candidate.type], candidate.upstream_model
        spoken = provider.formats(candidate.base_url, model, candidate.settings)
        chosen = self._own_format if self._own_format in spoken else spoken[0]
        kept = candidate.shaping.keeps_suffix
        suffix = read_suffix(model, chosen, provider.habits.suffixes, kept)
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        found = self._known[id(candidate)] = _ChosenFormat(candidate, chosen, suffix, spoken)
        return found


def _known(call: ChatCall, written: WrittenRequest, client: Client, tried: int) -> Known:
    names = {
        "model": written.asking.suffix.model,
        "upstream_model": written.asking.suffix.model,
        "original_model": call.model,
        "using_group": client.group,
        "user_id": str(client.account_id or ""),
        "retry_index": tried,
        "is_retry": tried > 0,
    }
    sent = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in client.headers)
    return Known(names, {name: value for name, value in sent if may_be_passed(name)})


def _overridden(written: WrittenRequest, overrides: Overrides, known: Known) -> WrittenRequest:
    try:
        body, headers = overridden(written.outgoing.body, overrides, known)
    except Ended as ended:
        refused = UpstreamRefused if ended.is_final else ChannelUnusable
        raise refused(ended.message, status=ended.status, code=ended.code) from ended
    except ValueError as error:
        raise ChannelUnusable("a channel's overrides cannot be done to this request") from error
    return written._replace(outgoing=replace(written.outgoing, body=body), headers=headers)
