"""Words of the format that reading and writing share.

Source: https://platform.openai.com/docs/api-reference/responses
"""

from gateway.conversation.ends import Ends

NAME = "openai_responses"

ENDS = Ends(
    known={"max_output_tokens": "length", "content_filter": "content_filter"},
    failed=frozenset({"cancelled"}),
)
"""`incomplete_details.reason`, and the one status that is no answer."""

SERVICE_OF_TIER = {"default": "standard", "flex": "flex", "priority": "priority"}
TIER_OF_SERVICE = {service: tier for tier, service in SERVICE_OF_TIER.items()}


def sealed(item_id: str, encrypted: str) -> str:
    """A reasoning item's id and sealed content as one signature: it needs both to be sent back."""
    return f"{item_id}\n{encrypted}" if encrypted else ""


def unsealed(signature: str) -> tuple[str, str]:
    """The id and the sealed content of a signature."""
    item_id, _, encrypted = signature.partition("\n")
    return item_id, encrypted
