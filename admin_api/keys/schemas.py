"""What is said of API keys, and what they may be given."""

from typing import Annotated, Literal, Self, cast
from uuid import UUID

from pydantic import Field

from admin_api.fields.bodies import (
    Amount,
    GroupName,
    Input,
    ModelName,
    Moment,
    Name,
    Output,
    SignedAmount,
)
from admin_api.fields.inputs import LIST_MAX, format_moment
from admin_api.keys.operations import KeyView, TermsInput
from ledger.money import format_usd


class Terms(Input):
    """What a key may do; null or absent: no restriction of that kind.

    `names_channels`: sent as `<key>-<channel id>`, it is that channel that is asked, and no other.
    """

    limit: Amount | None = None
    expires_at: Moment | None = None
    models: Annotated[list[ModelName], Field(min_length=1, max_length=LIST_MAX)] | None = None
    allowed_ips: Annotated[list[str], Field(min_length=1, max_length=LIST_MAX)] | None = None
    group: GroupName | None = None
    names_channels: bool = False

    def terms(self) -> TermsInput:
        """Those that are given."""
        return cast("TermsInput", self.model_dump(exclude_unset=True, exclude={"name"}))


class NewKey(Terms):
    """A key to issue."""

    name: Name


class KeyChange(Terms):
    """Changes to a key: what is absent stays, null lifts a restriction."""

    name: Name | None = None


class IssuedKeyOutput(Output):
    """A new key. This is the only time that it is shown."""

    id: UUID
    key: str


class KeyOutput(Output):
    """A key. `used` is what its limit is compared with: charged and held."""

    id: UUID
    account_id: UUID
    name: str | None
    prefix: str
    last_four: str
    limit: SignedAmount | None
    used: SignedAmount
    expires_at: Moment | None
    models: list[str] | None
    allowed_ips: list[str] | None
    group: str | None
    names_channels: bool
    status: Literal["active", "revoked"]

    @classmethod
    def of(cls, view: KeyView) -> Self:
        """As it is told."""
        issued, terms = view.state.issued, view.state.terms
        assert issued is not None
        limit_nanos, expires_at_us = terms.limit_nanos, terms.expires_at_us
        return cls(
            id=view.key_id,
            account_id=issued.account_id,
            name=view.name,
            prefix=issued.prefix,
            last_four=issued.last_four,
            limit=None if limit_nanos is None else format_usd(limit_nanos),
            used=format_usd(view.used_nanos),
            expires_at=None if expires_at_us is None else format_moment(expires_at_us),
            models=None if terms.models is None else list(terms.models),
            allowed_ips=None if terms.allowed_ips is None else list(terms.allowed_ips),
            group=terms.group,
            names_channels=terms.names_channels,
            status="revoked" if view.state.is_revoked else "active",
        )


class KeyList(Output):
    """An account's keys, oldest first."""

    keys: list[KeyOutput]
