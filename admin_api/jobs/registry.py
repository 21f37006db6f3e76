"""The list of kinds of jobs: the only place that names them all."""

from typing import Any

from admin_api.jobs.contract import JobKind
from admin_api.jobs.kinds import (
    check,
    compare,
    correction,
    export,
    rebuild,
    reprice,
    statement,
)

KINDS: tuple[JobKind[Any], ...] = (
    check.KIND,
    compare.KIND,
    rebuild.KIND,
    export.KIND,
    statement.KIND,
    reprice.KIND,
    correction.KIND,
)
