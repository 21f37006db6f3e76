"""`tollgate ledger balance ACCOUNT`."""

from tollgate.commands.account import ACCOUNT, print_balance
from tollgate.commands.contract import DATA_DIR, Action

ACTION = Action("balance", "what an account has", print_balance, (ACCOUNT, DATA_DIR))
