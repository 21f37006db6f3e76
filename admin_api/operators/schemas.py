"""What is said of operators."""

from uuid import UUID

from admin_api.fields.bodies import Input, Name, Output
from ledger.streams.user import Role


class NewOperatorInput(Input):
    """An operator to register."""

    name: Name
    role: Role


class NewOperatorOutput(Output):
    """A new operator. This is the only time that the token is shown."""

    id: UUID
    token: str
