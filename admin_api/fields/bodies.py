"""What the resources' bodies are made of: strict input, allow-listed output, exact amounts."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from admin_api.fields.inputs import REASON_CODE_PATTERN
from ledger.errors import InvalidAmount
from ledger.money import parse_usd

AMOUNT_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"


class Input(BaseModel):
    """A request's body: nothing is coerced, nothing unknown is ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Output(BaseModel):
    """An answer's body: exactly these fields, whatever else the ledger knows."""

    model_config = ConfigDict(extra="forbid")


def _amount(value: Any) -> str:  # noqa: ANN401 - anything may be sent
    try:
        parse_usd(value)
    except (InvalidAmount, TypeError) as error:
        raise PydanticCustomError(
            InvalidAmount.code, "must be a decimal string in USD such as 12.50"
        ) from error
    return str(value)


Amount = Annotated[
    str,
    BeforeValidator(_amount),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": AMOUNT_PATTERN,
            "examples": ["12.50"],
            "description": "USD, up to nine digits on each side of the point.",
        }
    ),
]
"""A decimal string in USD; anything else is 422 invalid_amount."""

SignedAmount = Annotated[str, Field(description="USD, exact; may be negative.", examples=["-0.25"])]
"""An amount in an answer."""

Moment = Annotated[
    str,
    Field(
        description="RFC 3339 date-time with an offset.",
        examples=["2030-01-31T12:00:00Z"],
        json_schema_extra={"format": "date-time"},
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=200, description="For people.")]
ModelName = Annotated[str, Field(min_length=1, max_length=256)]
ReasonCode = Annotated[
    str,
    Field(
        pattern=REASON_CODE_PATTERN,
        description="A code of your own, not prose: it is kept in the ledger for ever.",
        examples=["unpaid"],
    ),
]


class Because(Input):
    """Why something is done."""

    reason: ReasonCode | None = None


GroupName = Annotated[str, Field(min_length=1, max_length=64)]
