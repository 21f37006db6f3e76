"""`tollgate serve`: the gateway, the desk and everything they need."""

import argparse

from tollgate.commands.contract import DATA_DIR, Action, argument
from tollgate.installation import Installation
from tollgate.processes import supervisor
from tollgate.processes.supervisor import Started
from tollgate.settings import Settings

HOST = argument("--host", help="the address to listen on (default: 0.0.0.0)")
PORT = argument("--port", help="the port to listen on; 0 takes a free one (default: PORT, or 3000)")
WORKERS = argument("--workers", help="how many processes take calls (default: one per core)")


def _run(arguments: argparse.Namespace) -> int:
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


COMMAND = Action(
    "serve", "start the gateway and serve until stopped", _run, (HOST, PORT, WORKERS, DATA_DIR)
)
