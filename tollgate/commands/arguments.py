"""The arguments that commands of several groups take."""

from tollgate.commands.contract import argument

DATA_DIR = argument(
    "--data-dir",
    metavar="PATH",
    help="the installation's folder (default: /var/lib/tollgate for root, else "
    "~/.local/share/tollgate)",
)
ACCOUNT = argument("account", metavar="ACCOUNT", help="the account's id")
