"""Reads one setting each from its text: a value of the right kind, or a refusal with a remedy."""

import ipaddress
import re
import zoneinfo

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from projections.cache.address import Address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SECRET_CHARACTERS_MIN = 32
_DISTINCT_CHARACTERS_MIN = 8
_KNOWN_SECRETS = (
    "0123456789",
    "abcdefghij",
    "change",
    "crypto_secret",
    "default",
    "example",
    "password",
    "random_string",
    "replace",
    "secret",
    "session_secret",
    "test",
    "your",
)
_NEW_SECRET = "make one with `openssl rand -hex 32`"  # noqa: S105 - how to make one
_POSTGRES_URL = "give an address like postgresql://user:password@host:5432/database"
_ENCODE = (
    "write what a password has of @ : / ? # % as %40 %3A %2F %3F %23 %25, or leave it out "
    "and set {} to it as it is"
)
_PORTS = re.compile(r"([0-9]{1,5}(,[0-9]{1,5})*)?", re.ASCII)
_SQLITE = re.compile(r"^(sqlite|file:|local$|:memory:)|\.(db|sqlite3?)(\?|$)", re.IGNORECASE)
_MYSQL = re.compile(r"^(mysql|mariadb)|@(tcp|unix)\(", re.IGNORECASE)


class SettingRefused(Exception):
    """A setting has a value that nothing can be started with.

    `str()` is one line: the setting, its value (a secret's value never), and the remedy.
    """

    def __init__(self, setting: str, fault: str, remedy: str) -> None:
        super().__init__(setting, fault, remedy)
        self.setting = setting
        self.fault = fault
        self.remedy = remedy

    def __str__(self) -> str:
        return " ".join(f"{self.setting} {self.fault}: {self.remedy}".split())


def whole_number(setting: str, text: str, least: int, most: int) -> int:
    """A whole number of a range, in ASCII digits."""
    if text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most:
        return int(text)
    raise SettingRefused(
        setting,
        f"is {_shown(text)}, not a number from {least} to {most}",
        f"give a whole number, as in {setting}={max(least, min(most, 3000))}",
    )


def switch(setting: str, text: str) -> bool:
    """Something that is on or off."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    raise SettingRefused(
        setting,
        f"is {_shown(text)}, neither true nor false",
        f"say {setting}=false, or leave it out",
    )


def network_list(
    setting: str,
    text: str,
    whose: str = "your proxies",
    danger: str = "every client could choose its own address",
) -> tuple[Network, ...]:
    """Addresses and networks in CIDR notation, separated by commas or spaces; not all there are.

    `whose` they are and the `danger` of naming all of them are for the refusals.
    """
    parts = text.replace(",", " ").split()
    return tuple(_network(setting, part, whose, danger) for part in parts)


def time_zone(setting: str, text: str) -> str:
    """The name of a time zone that this machine knows."""
    name = text.removeprefix(":")
    if name in ("UTC", "Etc/UTC"):
        return "UTC"
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as unknown:
        raise SettingRefused(
            setting,
            f"is {_shown(text)}, not a time zone this machine knows",
            f"give a name like {setting}=Asia/Shanghai or {setting}=UTC",
        ) from unknown
    return name


def secret(setting: str, text: str) -> str:
    """A secret that cannot be guessed: long enough, and none of those that examples carry."""
    if len(text) < SECRET_CHARACTERS_MIN:
        raise SettingRefused(
            setting,
            f"has {len(text)} characters and needs {SECRET_CHARACTERS_MIN}",
            _NEW_SECRET,
        )
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise SettingRefused(
            setting, "holds spaces or characters that are not printable ASCII", _NEW_SECRET
        )
    stem = re.sub(r"[^a-z0-9_]", "", text.lower().replace("-", "_"))
    if any(stem.startswith(known) for known in _KNOWN_SECRETS) or (
        len(set(text)) < _DISTINCT_CHARACTERS_MIN
    ):
        raise SettingRefused(setting, "is one that can be guessed", _NEW_SECRET)
    return text


def postgres_dsn(setting: str, text: str) -> str:
    """A connection string of libpq, as a URL or as keywords and values.

    A URL that a password could have broken is refused before libpq sees it: a piece of it would be
    taken for a host or a database, whose names are told when they are not found.
    """
    for kind, pattern in (("MySQL", _MYSQL), ("SQLite", _SQLITE)):
        if pattern.search(text):
            raise SettingRefused(
                setting,
                f"names a {kind} database, which is not Postgres",
                f"{_POSTGRES_URL}, or unset {setting} to use the Postgres that Tollgate brings",
            )
    try:
        # libpq's own complaint may quote a part of a password, so it is not repeated.
        parts = conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        parts = {}
    if not parts or not _PORTS.fullmatch(str(parts.get("port", ""))) or _may_be_broken(text):
        remedy = _ENCODE.format(setting.replace("DSN", "PASSWORD"))
        raise SettingRefused(
            setting,
            "is not a Postgres address that libpq can read",
            f"{_POSTGRES_URL}, and {remedy}",
        )
    return text


def _may_be_broken(url: str) -> bool:
    """Whether what stands before the last `@` may have held another `@`, or a `/`."""
    _, is_url, rest = url.partition("://")
    first_at = rest.find("@")
    if not is_url or first_at < 0:
        return False
    query = rest.find("?", first_at)
    address = rest if query < 0 else rest[:query]
    return address.count("@") > 1 or 0 <= address.find("/") < first_at


def with_password(setting: str, dsn: str, password_setting: str, password: str) -> str:
    """A connection string with a password that was given apart, as it is."""
    if "password" in conninfo_to_dict(dsn):
        raise SettingRefused(
            password_setting,
            f"is set, but {setting} holds a password of its own",
            "leave one of them out",
        )
    return make_conninfo(dsn, password=password)


def redis_url(setting: str, text: str) -> str:
    """The address of a Redis."""
    try:
        Address.parse(text)
    except ValueError as refusal:
        raise SettingRefused(
            setting,
            f"is not the address of a Redis ({refusal})",
            f"give one like {setting}=redis://:password@host:6379/0, with what the password has "
            "of @ : / ? # % as %40 %3A %2F %3F %23 %25, or unset it to use the server that "
            "Tollgate brings",
        ) from refusal
    return text


def host(setting: str, text: str) -> str:
    """A name or an address to listen on; whether it is ours is seen when listening begins."""
    if text and text.isascii() and text.isprintable() and not re.search(r"[\s/@\[\]]", text):
        return text
    raise SettingRefused(
        setting,
        f"is {_shown(text)}, not a name or an address",
        "give one of this machine, as in --host 127.0.0.1",
    )


def _network(setting: str, text: str, whose: str, danger: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as refusal:
        raise SettingRefused(
            setting,
            f"names {_shown(text)}, not an address or a network in CIDR notation",
            f"list what {whose} have, as in {setting}=10.0.0.0/8,192.168.1.7",
        ) from refusal
    if network.prefixlen == 0:
        raise SettingRefused(
            setting,
            f"names {text}, so that {danger}",
            f"list the addresses of {whose} only",
        )
    return network


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
