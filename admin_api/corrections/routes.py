"""/ledger/reprices: what calls would have cost; /corrections: and make it so."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Response
from pydantic import Field

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.adjustments.proposals import ProposedOutput, Words, idempotent_id
from admin_api.corrections.jobs import reprice
from admin_api.corrections.operations.corrections import proposal_of, propose_correction
from admin_api.corrections.operations.reprices import (
    ACCOUNTS_MAX,
    ADMISSION,
    BOOK_MAX,
    NOW,
    AskedReprice,
    read_question,
)
from admin_api.fields.bodies import Amount, GroupName, Input, ModelName
from admin_api.http.strict_route import StrictRoute
from admin_api.jobs.operations import find_job, start_job
from admin_api.jobs.schemas import JobAccepted, accepted
from admin_api.prices.operations.price_inputs import SERVICES_MAX, PriceInput
from admin_api.prices.schemas.prices import NewSchedule
from ledger.streams.adjustment import Direction, Reason

router = APIRouter(route_class=StrictRoute, tags=["adjustments"])

_ROUTE = "POST /corrections"


_EDGE = (
    "A position of the log, a day of the books or a date-time with an offset. A position and a day "
    "are included, and so is a date-time as `from`; as `to` it is not."
)
_EDGES = ["1200", "2030-01-31", "2030-01-31T12:00:00Z"]
Edge = Annotated[str | None, Field(max_length=64, description=_EDGE, examples=_EDGES)]


class TriedPrice(NewSchedule):
    """A price to try, as at /prices."""

    services: dict[str, NewSchedule] = Field(default_factory=dict, max_length=SERVICES_MAX)

    def price(self) -> PriceInput:
        """Raises InvalidInput for a length that is given twice."""
        standard = self.schedule()
        services = {name: each.schedule() for name, each in self.services.items()}
        return PriceInput(standard.rates, standard.long_context, services)


class NewReprice(Input):
    """Other prices, and the calls they are tried on: those that ended within the period.

    book: `sale`, a draft, any book; without it, prices stay as they were charged but for `prices`
    (by model, in USD per million tokens) and `multipliers` (by group). as_of: when the book is
    read: `now`, `admission` (of each call), or a date-time.
    """

    book: Annotated[str | None, Field(min_length=1, max_length=BOOK_MAX)] = None
    as_of: Annotated[str, Field(max_length=64, examples=[NOW, ADMISSION])] = NOW
    prices: dict[ModelName, TriedPrice] = Field(default_factory=dict, max_length=100)
    multipliers: Annotated[dict[GroupName, Amount], Field(max_length=100)] = Field(
        default_factory=dict
    )
    since: Edge = Field(default=None, alias="from")
    until: Edge = Field(default=None, alias="to")
    accounts: list[Annotated[UUID, Field(strict=False)]] = Field(
        default_factory=list, max_length=ACCOUNTS_MAX
    )
    models: list[ModelName] = Field(default_factory=list, max_length=1_000)


class NewCorrection(Input):
    """A what-if made true. `job`: the one that answered it.

    direction: `customer` corrects only charges that become less, `both` all of them.
    """

    job: Annotated[UUID, Field(strict=False)]
    direction: Direction
    code: Reason
    reason: Words


@router.post("/ledger/reprices", status_code=202)
async def start_reprice(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("ledger:read"))],
    given: NewReprice,
    response: Response,
) -> JobAccepted:
    """Begin a what-if; nothing is written. The result of its job is the answer."""
    asked = AskedReprice(
        book=given.book,
        prices_as_of=given.as_of,
        prices={model: tried.price() for model, tried in given.prices.items()},
        multipliers=given.multipliers,
        since=given.since,
        until=given.until,
        accounts=given.accounts,
        models=given.models,
    )
    parameters = reprice.Parameters(question=await read_question(desk, asked))
    return accepted(response, await start_job(desk, reprice.KIND, parameters, operator.actor))


@router.post("/corrections", status_code=201)
async def propose(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("adjustments:propose"))],
    given: NewCorrection,
    response: Response,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> ProposedOutput:
    """Propose a correction: an adjustment, which another operator approves and a job posts.

    The Idempotency-Key is as for adjustments.
    """
    correction = proposal_of(await find_job(desk, given.job), given.direction)
    command = propose_correction(
        desk,
        correction,
        code=given.code,
        reason=given.reason,
        adjustment_id=idempotent_id(operator, _ROUTE, idempotency_key, response),
        actor=operator.actor,
    )
    return ProposedOutput.of(await desk.commands.finish(command))
