"""Who may connect to the embedded Postgres: pg_hba.conf and pg_ident.conf of our own.

They are written at every start and lie where Postgres' account reads and cannot write them, so a
cluster of an earlier release, which let everybody in who reached its socket, is closed as well.
"""

import os
from collections.abc import Mapping

from tollgate.embedded.account import name_of
from tollgate.embedded.data_directory import DataDirectory
from tollgate.embedded.errors import StartRefused

_MAP = "tollgate"
_ROOT = 0


def write(directory: DataDirectory) -> Mapping[str, str]:
    """Write both files; the settings of Postgres that name them. Raises StartRefused.

    A user whose number has no name cannot be told from others by Postgres; it is never root, and
    then nobody but that user can enter the folder of the socket.
    """
    names = {name for name in map(name_of, (os.geteuid(), _ROOT)) if name is not None}
    is_named = name_of(os.geteuid()) is not None
    method = f"peer map={_MAP}" if is_named else "trust"
    texts = {
        "hba_file": f"local all all {method}\n",
        "ident_file": "".join(f"{_MAP} {_quoted(name)} all\n" for name in sorted(names)),
    }
    paths = {name: directory.root / f"postgres.{name}" for name in texts}
    try:
        for name, path in paths.items():
            draft = path.with_name(f"{path.name}.draft")
            draft.write_text(texts[name])
            draft.chmod(0o644)
            draft.replace(path)
    except OSError as refusal:
        raise StartRefused(
            f"who may connect to Postgres cannot be written down in {directory.root} "
            f"({refusal.strerror})",
            "make room there, and start as the user who owns it",
        ) from refusal
    return {name: str(path) for name, path in paths.items()}


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
