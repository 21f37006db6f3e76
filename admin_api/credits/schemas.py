"""What is said of credits."""

from typing import Annotated

from pydantic import Field

from admin_api.fields import inputs
from admin_api.fields.bodies import Amount, Input, Output


class NewCredit(Input):
    """A credit. The reason is kept apart from the ledger, sealed."""

    amount: Amount
    reason: Annotated[str, Field(min_length=1, max_length=inputs.REASON_MAX)]


class CreditOutput(Output):
    """Where the credit stands in the log."""

    position: int
