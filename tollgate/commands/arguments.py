"""The arguments that commands of several groups take."""

import argparse

from tollgate.commands.contract import argument

LISTED_MAX = 1_000


def _limit(text: str) -> int:
    limit = int(text)
    if not 1 <= limit <= LISTED_MAX:
        raise argparse.ArgumentTypeError(f"must be 1 to {LISTED_MAX}")
    return limit


DATA_DIR = argument(
    "--data-dir",
    metavar="PATH",
    help="the installation's folder (default: /var/lib/tollgate for root, else "
    "~/.local/share/tollgate)",
)
ACCOUNT = argument("account", metavar="ACCOUNT", help="the account's id")
SINCE = argument("--from", dest="since", metavar="T", help="from this day or moment on: 2030-01-31")
UNTIL = argument(
    "--to", dest="until", metavar="T", help="to this day, included, or before this moment"
)
BEFORE = argument("--before", type=int, metavar="POSITION", help="as a page says it of the next")
LIMIT = argument("--limit", type=_limit, default=100, metavar="NUMBER", help="default: 100")
FROM_DAY = argument("--from", dest="since", metavar="DAY", help="the first day: 2030-01-31")
TO_DAY = argument("--to", dest="until", metavar="DAY", help="the last day, included")
