"""What is said of operators."""

from typing import Self
from uuid import UUID

from admin_api.fields.bodies import Input, Name, Output, ReasonCode
from admin_api.operators.operations import OperatorView
from ledger.streams.user import Role


class NewOperatorInput(Input):
    """An operator to register."""

    name: Name
    role: Role


class NewOperatorOutput(Output):
    """A new operator. This is the only time that the token is shown."""

    id: UUID
    token: str


class OperatorChange(Input):
    """What to change of an operator; what is absent stays."""

    name: Name | None = None
    role: Role | None = None
    reason: ReasonCode | None = None


class OperatorOutput(Output):
    """An operator; `name` is null once it was erased. `tokens`: how many open the desk."""

    id: UUID
    name: str | None
    role: Role
    is_disabled: bool
    is_erased: bool
    tokens: int

    @classmethod
    def of(cls, view: OperatorView) -> Self:
        """As it is told."""
        return cls(
            id=view.user_id,
            name=view.name,
            role=view.role,
            is_disabled=view.is_disabled,
            is_erased=view.is_erased,
            tokens=view.tokens,
        )


class OperatorList(Output):
    """Every operator there ever was."""

    operators: list[OperatorOutput]


class FreshToken(Output):
    """A new token in the place of all others. This is the only time that it is shown."""

    token: str
