"""The list of exports that can be reconciled: the only place that names them all."""

from collections.abc import Mapping

from projections.reconciliation.contract import ExportFormat
from projections.reconciliation.formats import (
    anthropic_costs,
    anthropic_usage,
    generic,
    openai_costs,
    openai_usage,
)

FORMATS: Mapping[str, ExportFormat] = {
    each.name: each
    for each in (
        openai_costs.FORMAT,
        openai_usage.FORMAT,
        anthropic_usage.FORMAT,
        anthropic_costs.FORMAT,
        generic.FORMAT,
    )
}
