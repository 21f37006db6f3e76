"""One paid call, top to bottom: identify, read, admit, reserve, ask, deliver, settle."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from gateway.call.admission import Admission, Admissions
from gateway.call.asking.requests import Client
from gateway.call.asking.tries import TryBounds
from gateway.call.callers import Caller, identify
from gateway.call.charges.charge_book import PricesOutdated
from gateway.call.charges.open_charge import OpenCharge
from gateway.call.deadlines import Deadline
from gateway.call.delivery import Delivery, Drains
from gateway.call.failover import Failover
from gateway.call.forwarding import Delivering
from gateway.call.metering.provider_costs import ProviderCosts
from gateway.call.opened import Unanswered, elapsed_ms
from gateway.call.parts import Parts
from gateway.channels.routing import in_order
from gateway.errors import GatewayError, InsufficientQuota, Overloaded
from gateway.formats.contract import Format
from gateway.formats.translator import Translators
from gateway.formats.values import ChatCall
from gateway.http.body import BodyLimits, ClientGone, read_body, require_json_type
from gateway.http.exchange import Exchange
from gateway.http.strict_json import parse_off_loop
from ledger import clock
from ledger.admission_bounds import CALLER_KNOWN_FOR_S
from ledger.networks import Network
from projections.configuration import ATTEMPTS_SETTING, ATTEMPTS_WITHIN_SETTING, Configuration

_PRICED_TIMES_MAX = 3
_SMALLER_TIMES_MAX = 4
_LIMIT_HEADER = b"x-tollgate-max-output-tokens"


@dataclass(frozen=True, slots=True)
class RelayLimits:
    """What one installation allows."""

    body: BodyLimits = BodyLimits()
    drains: Drains = Drains()
    keeps_translated: bool = True
    """Whether answers that no provider knows as their clients do may be kept here."""


@dataclass(frozen=True, slots=True)
class PathArguments:
    """What the address of a request says, in formats where it does. `prepare` has the answer told
    as the address asks; it raises InvalidRequest where it cannot be.
    """

    model: str
    stream: bool
    prepare: Callable[[Exchange], None]


class Relay:
    """Serves one format's calls."""

    def __init__(
        self,
        client_format: Format,
        parts: Parts,
        trusted_proxies: Sequence[Network] = (),
        limits: RelayLimits = RelayLimits(),
    ) -> None:
        self._format = client_format
        self._configuration = parts.configuration
        self._book = parts.book
        self._tasks = parts.tasks
        self._tokenizer = parts.tokenizer
        self._refusals = parts.refusals
        self._deadlines = parts.deadlines
        self._trusted_proxies = trusted_proxies
        self._limits = limits
        translators = Translators(client_format, parts.formats, parts.tokenizer.first)
        costs = ProviderCosts(parts.configuration.cost_price)
        self._failover = Failover(
            client_format.name,
            translators,
            parts.providers,
            parts.vault,
            parts.egress,
            costs,
            partial(_try_bounds, parts.configuration),
        )
        self._admissions = Admissions(client_format, parts, self._failover)
        self._delivery = Delivery(
            client_format,
            parts.tokenizer,
            limits.drains,
            costs,
            parts.stored_responses,
            self._failover.broke,
        )

    async def serve(self, exchange: Exchange, path: PathArguments | None = None) -> None:
        """Answer one exchange, whatever happens. `path`: what its path says of the call."""
        caller: Caller | None = None
        model = ""
        try:
            caller = await identify(exchange, self._configuration, self._trusted_proxies)
            identified_s = clock.monotonic_s()
            call = await self._read(exchange, path)
            model = call.model
            if clock.monotonic_s() - identified_s > CALLER_KNOWN_FOR_S:
                caller = await identify(exchange, self._configuration, self._trusted_proxies)
            await self._admitted(exchange, caller, call)
        except ClientGone:
            return
        except GatewayError as error:
            if exchange.has_started:
                raise
            self._refusals.note(exchange.charge_id, caller, model, error)
            await self._refuse(exchange, error)

    async def _admitted(self, exchange: Exchange, caller: Caller, call: ChatCall) -> None:
        """Admitted again where the prices have changed before its hold was stored."""
        for _ in range(_PRICED_TIMES_MAX):
            if not (self._configuration.is_fresh or await self._configuration.refreshed()):
                told = "what this node knows of prices and groups may have changed"
                raise Overloaded(told, retry_after_s=1)
            admission = await self._admissions.admit(caller, call)
            try:
                return await self._tasks.run(self._paid(exchange, admission))
            except PricesOutdated:
                terms, known = admission.reserve.terms, admission.prices.version
                await self._configuration.await_prices(terms.model, known)
        raise Overloaded("the prices of this model are changing", retry_after_s=1)

    async def _read(self, exchange: Exchange, path: PathArguments | None) -> ChatCall:
        require_json_type(exchange.headers)
        body = await read_body(exchange.headers, exchange.receive, self._limits.body)
        call = self._format.read_request(await parse_off_loop(body), body)
        if path is not None:
            path.prepare(exchange)
            call = replace(call, model=path.model, stream=path.stream)
        if call.keeps_here and not self._limits.keeps_translated:
            call = replace(call, keeps_here=False)
        names = self._format.forwarded_headers
        if not names:
            return call
        sent = {name: exchange.header(name.encode()) for name in names}
        return replace(call, headers={name: told for name, told in sent.items() if told})

    async def _paid(self, exchange: Exchange, admission: Admission) -> None:
        """From the hold to the end of the body; runs to its end whoever goes away.

        Raises InsufficientQuota, Overloaded or PricesOutdated while nothing is held; tells
        everything else itself.
        """
        admission, charge = await self._reserved(exchange, admission)
        with self._deadlines.begin() as deadline:
            self._delivery.watch(exchange, deadline)
            try:
                await self._relayed(exchange, admission, charge, deadline)
            except GatewayError as error:
                charge.abandon("internal_error")
                await self._end(exchange, admission.call, error)
            except BaseException:
                # A bug, or the end of the process: leave no hold open behind it.
                charge.abandon("internal_error")
                raise
            finally:
                self._delivery.unwatch(exchange, deadline)

    async def _reserved(
        self, exchange: Exchange, admission: Admission
    ) -> tuple[Admission, OpenCharge]:
        """The hold, made smaller where it must and may be."""
        try:
            return admission, await self._hold(exchange, admission)
        except InsufficientQuota as error:
            if self._admissions.smaller(admission, error.available_nanos) is None:
                raise
        # Each of an account's calls sees what the one before it left, and takes half of that.
        async with self._book.turns.of(admission.caller.account_id):
            for _ in range(_SMALLER_TIMES_MAX):
                try:
                    charge = await self._hold(exchange, admission)
                except InsufficientQuota as error:
                    smaller = self._admissions.smaller(admission, error.available_nanos)
                    if smaller is None:
                        raise
                    admission = smaller
                else:
                    limit = str(admission.reserve.output_tokens_max // admission.call.choices)
                    exchange.told_besides.append((_LIMIT_HEADER, limit.encode()))
                    return admission, charge
        raise InsufficientQuota("other calls are taking what is there at the same moment")

    def _hold(self, exchange: Exchange, admission: Admission) -> Awaitable[OpenCharge]:
        return self._book.reserve(exchange.charge_id, admission.reserve, admission.prices)

    async def _relayed(
        self, exchange: Exchange, admission: Admission, charge: OpenCharge, deadline: Deadline
    ) -> None:
        """Ask until a candidate answers, and deliver that; nobody answered: close the charge, and
        raise.
        """
        call, price = admission.call, admission.price
        count_tokens = partial(self._tokenizer.count, call.model)
        started_s = clock.monotonic_s()
        try:
            order = in_order(admission.options)
            caller = admission.caller
            client = Client(exchange.headers, caller.group, caller.account_id)
            opened = await self._failover.first_answer(call, order, count_tokens, deadline, client)
        except Unanswered as nobody:
            if nobody.spent is not None:
                failed = Delivering(exchange, call, price, charge, nobody.spent, deadline)
                await self._delivery.charge_failed(failed)
            else:
                reason = nobody.error.code
                await charge.refund_in_time(reason, nobody.attempts, elapsed_ms(started_s))
            raise nobody.error from nobody
        await self._delivery.deliver(Delivering(exchange, call, price, charge, opened, deadline))

    async def _end(self, exchange: Exchange, call: ChatCall, error: GatewayError) -> None:
        """Tell of an error as far as that can still be told; raises it where it cannot."""
        if not exchange.has_started:
            await self._refuse(exchange, error)
        elif call.stream:
            await exchange.end(self._format.stream_error(error))
        else:
            raise error

    async def _refuse(self, exchange: Exchange, error: GatewayError) -> None:
        status, headers, body = self._format.error_body(error, exchange.request_id)
        await exchange.respond(status, headers, body)


def _try_bounds(configuration: Configuration) -> TryBounds:
    """As they are set."""
    usual = TryBounds()
    return TryBounds(
        configuration.number(ATTEMPTS_SETTING, usual.attempts),
        configuration.number(ATTEMPTS_WITHIN_SETTING, int(usual.within_s)),
    )
