"""The list of kinds of jobs: the only place that names them all."""

from typing import Any

from admin_api.books.jobs import check, compare, export, rebuild, statement
from admin_api.corrections.jobs import correction, reprice
from admin_api.jobs.contract import JobKind

KINDS: tuple[JobKind[Any], ...] = (
    check.KIND,
    compare.KIND,
    rebuild.KIND,
    export.KIND,
    statement.KIND,
    reprice.KIND,
    correction.KIND,
)
