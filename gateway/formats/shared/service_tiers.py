"""Service tiers: how requests and answers name them, and the service whose price applies.

Sources: `service_tier` of https://platform.openai.com/docs/api-reference/chat/object,
https://docs.anthropic.com/en/api/service-tiers and https://console.groq.com/docs/service-tiers.
"""

from ledger.pricing import STANDARD

_STANDARD_TIERS = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand"})
"""What is sold at the standard price. `auto` leaves the choice to the provider, whose answer says
what it chose; that decides the price.
"""


def service_of(tier: object) -> str | None:
    """The service a tier's name stands for; None where nothing usable is said."""
    if type(tier) is not str:
        return None
    return STANDARD if tier in _STANDARD_TIERS else tier
