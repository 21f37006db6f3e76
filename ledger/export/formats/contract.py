"""What a file format of an export is.

A new format is one file beside this one and one line in `registry.py`.
"""

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from ledger.errors import InvalidSelection
from ledger.export.selection import What

if TYPE_CHECKING:  # which formats there are is told without a database driver
    from ledger.book_days import BookDays
    from ledger.export.source import Opening
    from ledger.export.tables import Row, Table


@dataclass(frozen=True, slots=True)
class Heading:
    """What a file begins with. `as_of`: when the last position asked for was recorded.

    `days`: those of the books, for a format that has days. `openings` is empty unless the format
    `needs_openings`.
    """

    what: What
    table: "Table"
    description: str
    as_of: datetime
    days: "BookDays"
    openings: "Sequence[Opening]" = ()


class FileWriter(Protocol):
    """Writes the rows of one table; holds a batch of them and never the file."""

    def write(self, rows: "Sequence[Row]") -> None:
        """Some more rows, in the order of the log."""

    def close(self) -> None:
        """Everything that belongs after the last row. The file itself stays open."""

    def abandon(self) -> None:
        """Instead of `close`: the file is thrown away. Raises nothing."""


class Begins(Protocol):
    """What the module of a format has: `begin`."""

    def begin(self, file: BinaryIO, heading: Heading) -> FileWriter:
        """Begin a file, which takes bytes and cannot seek."""


@dataclass(frozen=True, slots=True)
class Format:
    """A file format. `tables` are those it can hold, the usual one first.

    `module` has `begin`, see Begins; it is imported when the first file is begun, because some
    stand on large libraries. `needs_openings`: its file must say what was before its first row.
    `library`: what it imports that is not always installed; `extra`: ours that brings it.
    """

    name: str
    suffix: str
    content_type: str
    tables: tuple[What, ...]
    module: str
    needs_openings: bool = False
    library: str | None = None
    extra: str | None = None

    def require_library(self) -> None:
        """Raises InvalidSelection where what it stands on is not installed."""
        if self.library is not None and importlib.util.find_spec(self.library) is None:
            raise InvalidSelection(
                f"{self.name} needs {self.library}, which is not installed: "
                f"pip install 'tollgate[{self.extra}]'"
            )

    def begin(self, file: BinaryIO, heading: Heading) -> FileWriter:
        """Begin a file, which takes bytes and cannot seek."""
        module = cast("Begins", importlib.import_module(self.module))
        return module.begin(file, heading)
