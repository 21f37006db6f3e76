"""`tollgate serve`: the gateway, the desk and everything they need."""

import argparse

from tollgate.installation import Installation
from tollgate.processes import supervisor
from tollgate.processes.supervisor import Started
from tollgate.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    return supervisor.serve(Settings.from_environment(arguments), _announce, _furnish)


def _furnish(_installation: Installation, root_token: str | None) -> None:
    if root_token is not None:
        print(
            "The root operator's token, shown this once (`tollgate token reset` makes another):\n"
            f"  {root_token}",
            flush=True,
        )


def _announce(started: Started) -> None:
    print(f"Tollgate is ready at {started.address}", flush=True)
