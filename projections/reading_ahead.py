"""Reading the log ahead: the next stretch is on its way while the last one is worked on."""

import queue
import threading
from collections.abc import Generator

from projections.batches import Fetched, Interest, fetch
from projections.storage import connect

_READY_MAX = 2
_LOOK_S = 0.1


def fetched_ahead(
    dsn: str, after: int, up_to: int, limit: int, interest: Interest
) -> Generator[Fetched, None, None]:
    """The log of positions after+1..up_to in stretches of at most `limit`. Close it after use.

    Raises what reading raises: LogBroken, psycopg.Error.
    """
    ready: queue.Queue[Fetched | Exception] = queue.Queue(_READY_MAX)
    stop = threading.Event()

    def put(what: Fetched | Exception) -> None:
        while not stop.is_set():
            try:
                ready.put(what, timeout=_LOOK_S)
            except queue.Full:
                continue
            return

    def read() -> None:
        at = after
        try:
            with connect(dsn) as connection:
                while at < up_to and not stop.is_set():
                    fetched = fetch(connection, at, up_to, limit, interest)
                    at = fetched.last
                    put(fetched)
        except Exception as error:  # noqa: BLE001 - it is raised where the stretches are taken
            put(error)

    reading = threading.Thread(target=read, name="reading-ahead", daemon=True)
    reading.start()
    try:
        at = after
        while at < up_to:
            got = ready.get()
            if isinstance(got, Exception):
                raise got
            at = got.last
            yield got
    finally:
        stop.set()
        reading.join()
