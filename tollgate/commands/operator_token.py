"""Who is at the terminal, for what needs a person by name.

Most commands act as "the command line": whoever may run them has the data directory anyway. Money
that two people must agree on is another matter: "the command line" is nobody, so it can neither
propose nor approve. Both need an operator's token, checked as the API checks it.
"""

import getpass
import sys

from admin_api.access.permissions import Operator, Permission
from admin_api.desk import Desk
from admin_api.errors import Unauthorized
from admin_api.operators.operations import find_operator
from tollgate.commands.contract import UsageRefused


def read_token() -> str:
    """An operator's token: asked for without showing it, or one line of standard input.

    Never an argument: command lines are there for everybody to read. Raises UsageRefused.
    """
    if sys.stdin.isatty():
        token = getpass.getpass("Your operator's token: ")
    else:
        token = sys.stdin.readline()
    if not token.strip():
        raise UsageRefused("an operator's token is needed, on standard input")
    return token.strip()


async def signed_in(desk: Desk, token: str, permission: Permission) -> Operator:
    """The operator whose token it is. Raises Unauthorized, Forbidden."""
    found = await find_operator(desk, token)
    if found is None:
        raise Unauthorized("nobody has this token")
    operator = Operator(*found)
    operator.require(permission)
    return operator
