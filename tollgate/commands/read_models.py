"""What the commands share that answer from read models, whether a server folds the log or not."""

import argparse
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from admin_api.desk import Desk
from admin_api.errors import NotCaughtUp
from projections.catching_up import caught_up
from projections.contract import Projection
from projections.reading import NotUpToDate
from tollgate.commands.at_the_desk import opened
from tollgate.installation import at_desk

Result = TypeVar("Result")


def perform_caught_up(
    arguments: argparse.Namespace,
    projections: Sequence[Projection],
    work: Callable[[Desk], Awaitable[Result]],
) -> Result:
    """Do some work at the desk of the installation that was named, once these read models show the
    log as it is now. Raises NotCaughtUp.
    """
    try:
        with opened(arguments) as installation, caught_up(installation.app_dsn, projections):
            return at_desk(installation, work)
    except NotUpToDate as behind:
        raise NotCaughtUp(str(behind)) from behind
