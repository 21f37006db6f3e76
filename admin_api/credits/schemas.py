"""What is said of credits."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from admin_api.credits.operations import Kind
from admin_api.fields import inputs
from admin_api.fields.bodies import Amount, Input, Output


class NewCreditInput(Input):
    """A credit. The reason is kept apart from the ledger, sealed.

    source: `payment` was made by a `method`, `manual` by hand; `promotion` and `goodwill` are
    gifts. reference: by what a payment is found at whoever took it; statements show it.
    """

    amount: Amount
    reason: Annotated[str, Field(min_length=1, max_length=inputs.REASON_MAX)]
    source: Kind = "manual"
    method: Annotated[str, Field(max_length=32)] = ""
    reference: Annotated[str, Field(max_length=100)] = ""


class CreditOutput(Output):
    """Where the credit stands in the log. Where one operator may not grant it alone, it is the
    place of its proposal, and `adjustment` is what another operator approves.
    """

    position: int
    adjustment: UUID | None
