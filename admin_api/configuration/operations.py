"""What was configured then: prices, channels, settings and groups as of a time or a position."""

from dataclasses import dataclass
from uuid import UUID

from admin_api.desk import Desk
from admin_api.fields import inputs
from admin_api.fields.as_of import parse_as_of
from ledger.errors import NotFound
from ledger.streams.channel import Channel
from ledger.streams.group import Group
from ledger.streams.price import SALE
from ledger.streams.setting import Setting
from projections.books import configuration_at
from projections.books.as_of import AsOf, resolve_as_of
from projections.books.configuration_at import Known, PriceAt

BOOK_MAX = 200


@dataclass(frozen=True, slots=True)
class SettingsAt:
    """All settings and groups that were set until then, by name."""

    as_of: AsOf
    settings: list[tuple[str, Setting, Known]]
    groups: list[tuple[Group, Known]]


async def price_as_of(
    desk: Desk, model: str, when: str | None, book: str | None
) -> tuple[PriceAt, AsOf]:
    """The price of a model then. Raises NotFound where none was ever set, InvalidInput."""
    moment = parse_as_of("as_of", when)
    model = inputs.model("model", model)
    named = SALE if book is None else inputs.text("book", book, BOOK_MAX)
    async with desk.reading() as connection:
        as_of = await resolve_as_of(connection, moment)
        found = await configuration_at.price_at(connection, model, as_of, named)
    if found is None:
        raise NotFound("the model had no price then")
    return found, as_of


async def channel_as_of(
    desk: Desk, channel_id: UUID, when: str | None
) -> tuple[Channel, Known, AsOf]:
    """A channel then. Raises NotFound where it was not there yet, InvalidInput."""
    moment = parse_as_of("as_of", when)
    async with desk.reading() as connection:
        as_of = await resolve_as_of(connection, moment)
        found = await configuration_at.channel_at(connection, channel_id, as_of)
    if found is None:
        raise NotFound("there was no such channel then")
    return *found, as_of


async def settings_as_of(desk: Desk, when: str | None) -> SettingsAt:
    """All settings and groups then. Raises InvalidInput."""
    moment = parse_as_of("as_of", when)
    async with desk.reading() as connection:
        as_of = await resolve_as_of(connection, moment)
        settings = await configuration_at.settings_at(connection, as_of)
        return SettingsAt(as_of, settings, await configuration_at.groups_at(connection, as_of))
