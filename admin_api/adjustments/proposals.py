"""How routes speak of proposals: what another operator must approve before anything moves."""

import uuid
from typing import Annotated, Self
from uuid import UUID

from fastapi import Response
from pydantic import Field

from admin_api.access.permissions import Operator
from admin_api.adjustments.operations import Proposed, proposal_id
from admin_api.fields import inputs
from admin_api.fields.bodies import Output

Words = Annotated[
    str,
    Field(
        min_length=1,
        max_length=inputs.REASON_MAX,
        description="For people; kept apart from the ledger, sealed.",
    ),
]


class ProposedOutput(Output):
    """An adjustment's id, and where its proposal stands in the log."""

    id: UUID
    position: int

    @classmethod
    def of(cls, proposed: Proposed) -> Self:
        """As it is told."""
        return cls(id=proposed.adjustment_id, position=proposed.position)


def idempotent_id(operator: Operator, route: str, key: str | None, response: Response) -> UUID:
    """The adjustment that an Idempotency-Key stands for; the answer tells the key."""
    key = str(uuid.uuid4()) if key is None else inputs.idempotency_key(key)
    response.headers["idempotency-key"] = key
    return proposal_id(operator.actor, route, key)
