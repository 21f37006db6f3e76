"""A log whose events were recorded when the test wants."""

from datetime import datetime

import psycopg

from tests.projections.conftest import Books


def pass_time(books: Books, moment: datetime) -> None:
    """The next event is recorded at this moment; it must lie in the future, and after the last.

    The log's clock is that of its head, which never runs backwards.
    """
    with psycopg.connect(books.owner_dsn, autocommit=True) as owner:
        owner.execute("update ledger.head set recorded_at = %s", (moment,))
