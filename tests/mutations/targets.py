"""What is broken, and which tests must notice; the quick ones first."""

from typing import NamedTuple

_CHARGE = (
    "tests/ledger/test_charge_rules.py",
    "tests/ledger/test_charge_corrections.py",
    "tests/ledger/test_billing.py",
    "tests/ledger/test_charge_checks.py",
)
_APPEND = (
    "tests/ledger/store/test_caps_of_a_batch.py",
    "tests/ledger/store/test_judged_batches.py",
    "tests/ledger/store/test_append.py",
    "tests/ledger/store/test_recorder.py",
    "tests/ledger/store/test_misfits.py",
    "tests/ledger/test_state_machine.py",
)


class Target(NamedTuple):
    """A file, and the tests around it. `functions`: of a migration, those that later ones left."""

    path: str
    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()


TARGETS = (
    Target("ledger/money.py", ("tests/ledger/test_money.py", "tests/ledger/test_billing.py")),
    Target(
        "ledger/pricing.py",
        (
            "tests/ledger/test_charge_checks.py",
            "tests/ledger/test_billing.py",
            "tests/ledger/test_pricing.py",
        ),
    ),
    Target("ledger/streams/charge/billing.py", _CHARGE),
    Target("ledger/streams/charge/events.py", ("tests/ledger/test_codec.py", *_CHARGE)),
    Target("ledger/streams/charge/effects.py", _CHARGE),
    Target("ledger/streams/charge/rules.py", _CHARGE),
    Target(
        "ledger/windows.py",
        ("tests/ledger/test_windows_of_limits.py", "tests/ledger/test_windows.py"),
    ),
    Target("ledger/budget.py", ("tests/ledger/test_budget.py", "tests/ledger/test_fsck.py")),
    Target("ledger/store/migrations/0001_ledger.sql", _APPEND, ("append_slice",)),
    Target("ledger/store/migrations/0009_misfits.sql", _APPEND, ("append_fitting",)),
    Target(
        "ledger/store/migrations/0010_clock_and_guards.sql",
        (
            *_APPEND,
            "tests/ledger/store/test_guards_of_groups.py",
            "tests/ledger/store/test_believed_clock.py",
        ),
        ("judge", "append_by_group", "append_events"),
    ),
)
