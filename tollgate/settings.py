"""What an operator can set: the only place that reads the environment."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tollgate import family_settings, setting_values
from tollgate.embedded.data_directory import DataDirectory
from tollgate.setting_values import Network, SettingRefused

PORT_DEFAULT = 3000
HOST_DEFAULT = "0.0.0.0"  # noqa: S104 - a gateway serves its network; `demo` listens on loopback
WORKERS_MAX = 32
_WORKERS_DEFAULT_MAX = 8
_DAY_S = 86_400

# What a process of ours needs besides what it is told: to find programs, time zones and files.
_PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "VIRTUAL_ENV",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was set, checked; the secrets among it never show in a text of it.

    `sql_dsn` or `redis_url` None: the embedded server. `crypto_secret` None: kept in the data
    directory. `sql_owner_dsn` None: one role both migrates and serves.
    """

    data: DataDirectory
    host: str = HOST_DEFAULT
    port: int = PORT_DEFAULT
    workers: int = 1
    sql_dsn: str | None = field(default=None, repr=False)
    sql_owner_dsn: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    crypto_secret: str | None = field(default=None, repr=False)
    initial_root_access_token: str | None = field(default=None, repr=False)
    trusted_proxies: tuple[Network, ...] = ()
    time_zone: str | None = None
    """As TZ says; None where it says nothing."""
    request_body_max_bytes: int = 32 * 1024 * 1024
    streaming_timeout_s: int = 300
    relay_timeout_s: int = 3_600
    media_max_bytes: int = 20 * 1024 * 1024
    media_timeout_s: int = 30
    media_networks: tuple[Network, ...] = ()
    keeps_translated_responses: bool = True
    child_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    notice: str | None = None

    @classmethod
    def from_environment(
        cls, arguments: argparse.Namespace, environment: Mapping[str, str] = os.environ
    ) -> "Settings":
        """Settings of the environment, and over them those of the command line.

        Looks for `host`, `port`, `data_dir` and `workers` in `arguments`; an empty variable counts
        as unset. Raises SettingRefused.
        """
        given = {name: text.strip() for name, text in environment.items() if text.strip()}
        options = {name: value for name, value in vars(arguments).items() if value is not None}
        data_dir = options.get("data_dir")
        settings = cls(
            data=DataDirectory.locate(None if data_dir is None else Path(data_dir), environment),
            host=setting_values.host("--host", options.get("host", HOST_DEFAULT)),
            port=_port(options, given),
            workers=_workers(options),
            trusted_proxies=setting_values.network_list(
                "TRUSTED_PROXIES", given.get("TRUSTED_PROXIES", "")
            ),
            time_zone=setting_values.time_zone("TZ", given["TZ"]) if given.get("TZ") else None,
            request_body_max_bytes=_number(given, "MAX_REQUEST_BODY_MB", 32, 1, 1024) << 20,
            streaming_timeout_s=_number(given, "STREAMING_TIMEOUT", 300, 1, _DAY_S),
            relay_timeout_s=_number(given, "RELAY_TIMEOUT", 3_600, 0, _DAY_S) or _DAY_S,
            **_media(given),
            keeps_translated_responses=setting_values.switch(
                "KEEP_TRANSLATED_RESPONSES", given.get("KEEP_TRANSLATED_RESPONSES", "true")
            ),
            child_environment={name: given[name] for name in _PASSED_ON if name in given},
            notice=family_settings.notice(given),
            **_secrets(given),
        )
        _require_secret_of_external_database(settings)
        return settings


def _port(options: Mapping[str, object], given: Mapping[str, str]) -> int:
    if "port" in options:
        return setting_values.whole_number("--port", str(options["port"]), 0, 65_535)
    return _number(given, "PORT", PORT_DEFAULT, 0, 65_535)


def _workers(options: Mapping[str, object]) -> int:
    if "workers" in options:
        return setting_values.whole_number("--workers", str(options["workers"]), 1, WORKERS_MAX)
    return max(1, min(_usable_cores(), _WORKERS_DEFAULT_MAX))


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _number(given: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    return setting_values.whole_number(name, given.get(name, str(default)), least, most)


def _media(given: Mapping[str, str]) -> dict[str, Any]:
    """What may be fetched that clients name by address in their messages."""
    networks = setting_values.network_list(
        "MEDIA_FETCH_ALLOWED_NETWORKS",
        given.get("MEDIA_FETCH_ALLOWED_NETWORKS", ""),
        whose="your own media servers",
        danger="clients could have anything fetched",
    )
    return {
        "media_max_bytes": _number(given, "MAX_FILE_DOWNLOAD_MB", 20, 1, 256) << 20,
        "media_timeout_s": _number(given, "USER_CONTENT_REQUEST_TIMEOUT", 30, 1, 600),
        "media_networks": networks,
    }


def _secrets(given: Mapping[str, str]) -> dict[str, Any]:
    """The settings whose values are never shown; those that were not given are left out."""
    readers = {
        "sql_dsn": ("SQL_DSN", setting_values.postgres_dsn),
        "sql_owner_dsn": ("SQL_OWNER_DSN", setting_values.postgres_dsn),
        "redis_url": ("REDIS_CONN_STRING", setting_values.redis_url),
        "crypto_secret": ("CRYPTO_SECRET", setting_values.secret),
        "initial_root_access_token": ("INITIAL_ROOT_ACCESS_TOKEN", setting_values.secret),
    }
    found = {
        attribute: read(name, given[name])
        for attribute, (name, read) in readers.items()
        if name in given
    }
    for dsn, password in (("SQL_DSN", "SQL_PASSWORD"), ("SQL_OWNER_DSN", "SQL_OWNER_PASSWORD")):
        if password not in given:
            continue
        if dsn not in given:
            raise SettingRefused(password, f"is set without {dsn}", f"set {dsn}, or leave it out")
        found[dsn.lower()] = setting_values.with_password(
            dsn, found[dsn.lower()], password, given[password]
        )
    return found


def _require_secret_of_external_database(settings: Settings) -> None:
    if settings.sql_dsn is None:
        if settings.sql_owner_dsn is not None:
            raise SettingRefused(
                "SQL_OWNER_DSN",
                "is set without SQL_DSN",
                "set SQL_DSN to the same database, as the role that serves",
            )
    elif settings.crypto_secret is None:
        raise SettingRefused(
            "CRYPTO_SECRET",
            "is not set, but SQL_DSN is, and every node of one database needs the same secret",
            "make one with `openssl rand -hex 32` and keep it as safe as the database",
        )
