"""The folder that holds everything of one installation, and the lock that gives it one owner."""

import contextlib
import errno
import fcntl
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tollgate.embedded.account import Account, closed_folder
from tollgate.embedded.errors import StartRefused

# sockaddr_un.sun_path without its closing zero: 108 bytes on Linux, 104 on macOS.
_SOCKET_PATH_BYTES_MAX = 103 if sys.platform == "darwin" else 107
_OTHER_DIRECTORY = "choose another one with --data-dir"


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """One installation's folder: an absolute path and the names inside it."""

    root: Path

    @classmethod
    def locate(cls, explicit: Path | None, environment: Mapping[str, str]) -> "DataDirectory":
        """The folder asked for, else `$XDG_DATA_HOME/tollgate`, else the account's usual place.

        The usual place is `/var/lib/tollgate` for root and `~/.local/share/tollgate` for others.
        A relative `XDG_DATA_HOME` is ignored, as the XDG base directory specification asks.
        """
        if explicit is not None:
            return cls(explicit.expanduser().resolve())
        shared = Path(environment.get("XDG_DATA_HOME", ""))
        if shared.is_absolute():
            return cls((shared / "tollgate").resolve())
        if os.geteuid() == 0:
            return cls(Path("/var/lib/tollgate").resolve())
        home = Path(environment.get("HOME") or Path.home())
        return cls((home / ".local/share/tollgate").resolve())

    @property
    def postgres(self) -> Path:
        """The database cluster; Postgres' account alone may enter it."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """Valkey's working folder: its log and its pid file, no data."""
        return self.root / "valkey"

    @property
    def run(self) -> Path:
        """The sockets of the cache and the signer: nobody but us may enter."""
        return self.root / "run"

    @property
    def sql(self) -> Path:
        """Postgres' socket: we and Postgres' account may enter, and Postgres asks who connects."""
        return self.root / "sql"

    @property
    def tokenizers(self) -> Path:
        """Rank files of the tokenizers."""
        return self.root / "tokenizers"

    @property
    def secrets(self) -> Path:
        """One file per secret of this installation."""
        return self.root / "secrets"

    @property
    def signer(self) -> Path:
        """The signing key of this node, and what it signed last; nothing of it is in Postgres."""
        return self.root / "signer"

    @property
    def signer_socket(self) -> Path:
        """Where the signer listens. Raises StartRefused for a path the kernel could not use."""
        return self.socket(self.run / "signer.sock")

    def has_database(self) -> bool:
        """Whether there is one, or may be one in a folder that we cannot enter."""
        try:
            return self.postgres.is_dir()
        except PermissionError:
            return True

    def prepare(self) -> None:
        """Create what is missing.

        Raises StartRefused for a path that is not a folder or that we cannot enter and write.
        """
        try:
            self._create()
        except (FileExistsError, NotADirectoryError) as obstacle:
            raise StartRefused(
                f"the data directory {self.root} is not a directory",
                f"remove the file {obstacle.filename}, or {_OTHER_DIRECTORY}",
            ) from obstacle
        except OSError as refusal:
            raise StartRefused(
                f"the data directory {self.root} cannot be used ({refusal.strerror}: "
                f"{refusal.filename})",
                f"start as the user who owns it, make it writable, or {_OTHER_DIRECTORY}",
            ) from refusal

    def require_entry_for(self, account: Account) -> None:
        """Raise StartRefused, naming the closed folder, unless `account` can come in.

        Only looked at, never changed: folders above ours belong to somebody else.
        """
        closed = closed_folder(self.root, account)
        if closed is not None:
            raise StartRefused(
                f"{closed} cannot be entered by the user `{account.name}`, as whom Postgres runs "
                "when Tollgate is started by root",
                f"run `chmod o+x {closed}`, or choose a data directory elsewhere with --data-dir",
            )

    def socket(self, path: Path) -> Path:
        """The path of a socket; StartRefused if the kernel or libpq could not use it."""
        size_bytes = len(os.fsencode(path))
        if size_bytes > _SOCKET_PATH_BYTES_MAX:
            raise StartRefused(
                f"the socket path {path} has {size_bytes} bytes and the system allows "
                f"{_SOCKET_PATH_BYTES_MAX}",
                "choose a shorter --data-dir",
            )
        if "," in str(path):
            raise StartRefused(
                f"the data directory {self.root} has a comma in its name, where Postgres "
                "clients expect the next server",
                _OTHER_DIRECTORY,
            )
        return path

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Own the folder until the context ends or the process dies.

        Children do not inherit the lock, unless they are forked without an exec.
        Raises StartRefused naming the process that owns it already.
        """
        descriptor = self._open_lock()
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as taken:
                holder = self.lock_holder()
                raise StartRefused(
                    f"the data directory {self.root} is in use by "
                    f"{'another process' if holder is None else f'process {holder}'}",
                    "stop that process first, or choose another --data-dir",
                ) from taken
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def lock_unless_ours(self) -> Iterator[None]:
        """The lock, for tools that use several parts: not refused where this process has it."""
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self.lock())
            except StartRefused:
                if self.lock_holder() != os.getpid():
                    raise
            yield

    def lock_holder(self) -> int | None:
        """The pid last written by an owner; it means something only while the lock is taken."""
        text = (self.root / "lock").read_text()
        return int(text) if text.strip().isdigit() else None

    def secret(self, name: str) -> str:
        """The secret of this name, 64 hex digits of 32 random bytes, created when first asked for.

        It is on the disk, readable by its owner only, before it is returned; of several
        processes that ask at once, all get the same.
        Raises StartRefused if the file is empty or open to others.
        """
        path = self.secrets / name
        if not path.exists():
            _create_once(path, secrets.token_hex(32))
        if path.stat().st_mode & 0o077:
            raise StartRefused(f"the secret {path} is open to other users", f"chmod 600 {path}")
        value = path.read_text().strip()
        if not value:
            raise StartRefused(f"the secret {path} is empty", "restore it from a backup")
        return value

    def replace_secret(self, name: str, successor: str) -> None:
        """From now on the secret `name` is what `successor` was, and there is none of that name."""
        (self.secrets / successor).replace(self.secrets / name)
        sync_folder(self.secrets)

    def _create(self) -> None:
        # Root's folder lets others pass, never list: Postgres' account must reach its own folder.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        self.root.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.root.mkdir(exist_ok=True)
        if not any(self.root.iterdir()):
            self.root.chmod(mode)
        folders = (self.run, self.sql, self.valkey, self.tokenizers, self.secrets)
        for folder in folders:
            folder.mkdir(mode=0o700, exist_ok=True)
        for folder in (self.root, *folders):
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    def _open_lock(self) -> int:
        path = self.root / "lock"
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as refusal:
            raise StartRefused(
                f"the lock {path} cannot be opened ({refusal.strerror})",
                f"start as the user who owns it, or {_OTHER_DIRECTORY}",
            ) from refusal


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _create_once(path: Path, value: str) -> None:
    # A hard link appears complete or not at all, and never replaces a name that exists.
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(value + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    sync_folder(path.parent)
