"""Settings: what is read, what is refused, and that no secret is ever repeated."""

import argparse
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from tollgate import family_settings, log
from tollgate.setting_values import SettingRefused
from tollgate.settings import Settings

SECRET = "4f9a1c7be2d05836a91f0b7c3d8e6f25"
DSN = "postgresql://gate:pw@db.internal:5432/gate"


def read(environment: dict[str, str] | None = None, **arguments: str) -> Settings:
    given = {"HOME": "/nowhere"} | (environment or {})
    return Settings.from_environment(argparse.Namespace(**arguments), given)


def test_nothing_set_means_the_embedded_servers() -> None:
    settings = read()
    assert (settings.sql_dsn, settings.redis_url, settings.crypto_secret) == (None, None, None)
    assert settings.port == 3000
    assert settings.time_zone is None
    assert settings.request_body_max_bytes == 32 * 1024 * 1024
    assert settings.streaming_timeout_s == 300
    assert settings.relay_timeout_s == 3_600
    assert settings.workers >= 1


def test_the_command_line_goes_before_the_environment() -> None:
    settings = read({"PORT": "4000"}, port="5000", host="127.0.0.1", workers="3", data_dir="/d")
    assert (settings.port, settings.host, settings.workers) == (5000, "127.0.0.1", 3)
    assert settings.data.root == Path("/d")


def test_an_empty_variable_counts_as_unset() -> None:
    assert read({"PORT": "", "SQL_DSN": " ", "CRYPTO_SECRET": ""}).port == 3000


def test_everything_that_is_honoured_arrives() -> None:
    settings = read(
        {
            "SQL_DSN": DSN,
            "REDIS_CONN_STRING": "redis://:pw@cache:6379/1",
            "CRYPTO_SECRET": SECRET,
            "INITIAL_ROOT_ACCESS_TOKEN": SECRET[::-1],
            "TRUSTED_PROXIES": "10.0.0.0/8, 192.168.1.7 fd00::/8",
            "TZ": "Asia/Shanghai",
            "MAX_REQUEST_BODY_MB": "8",
            "STREAMING_TIMEOUT": "60",
            "RELAY_TIMEOUT": "120",
            "MAX_FILE_DOWNLOAD_MB": "5",
            "USER_CONTENT_REQUEST_TIMEOUT": "7",
            "MEDIA_FETCH_ALLOWED_NETWORKS": "10.1.0.0/16",
            "KEEP_TRANSLATED_RESPONSES": "False",
        }
    )
    assert (settings.sql_dsn, settings.crypto_secret) == (DSN, SECRET)
    assert [str(network) for network in settings.trusted_proxies] == [
        "10.0.0.0/8",
        "192.168.1.7/32",
        "fd00::/8",
    ]
    assert settings.time_zone == "Asia/Shanghai"
    assert settings.request_body_max_bytes == 8 * 1024 * 1024
    assert (settings.streaming_timeout_s, settings.relay_timeout_s) == (60, 120)
    assert (settings.media_max_bytes, settings.media_timeout_s) == (5 * 1024 * 1024, 7)
    assert [str(network) for network in settings.media_networks] == ["10.1.0.0/16"]
    assert settings.keeps_translated_responses is False
    assert read({}).keeps_translated_responses is True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "99999"),
        ("PORT", "-1"),
        ("PORT", "3000x"),
        ("PORT", "٣٠٠٠"),
        ("SQL_DSN", "root:zebra@tcp(db:3306)/oneapi"),
        ("SQL_DSN", "mysql://root:zebra@db/oneapi"),
        ("SQL_DSN", "sqlite:///var/lib/zebra.db"),
        ("SQL_DSN", "local"),
        ("SQL_DSN", "/data/zebra.db?_busy_timeout=5000"),
        ("SQL_DSN", "postgresql://gate:ze/bra@db:nonsense/gate"),
        ("SQL_DSN", "zebra"),
        ("SQL_DSN", "postgresql://gate:ze@zebra/w#rd@db:5432/gate"),
        ("SQL_DSN", "postgresql://gate:p@zebra@db/gate"),
        ("SQL_DSN", "postgresql://gate:5432/zebra@db/gate"),
        ("SQL_DSN", "postgresql://gate:p/w@zebra@db/gate"),
        ("SQL_DSN", "postgresql://gate:100%zebra@db/gate"),
        ("SQL_DSN", "postgresql://gate:p@zebra?x@db/gate"),
        ("SQL_OWNER_DSN", "postgresql://gate:p@zebra@db/gate"),
        ("REDIS_CONN_STRING", "redis://:zebra#1@cache:6379/0"),
        ("REDIS_CONN_STRING", "redis://u:12#zebra@cache:6379/0"),
        ("REDIS_CONN_STRING", "redis://u:12/zebra@cache:6379/0"),
        ("REDIS_CONN_STRING", "redis://:ze/bra@zebra:6379/0"),
        ("REDIS_CONN_STRING", "redis://:p@zebra@cache:6379/0"),
        ("REDIS_CONN_STRING", "redis://:zebra[@cache:6379/0"),
        ("REDIS_CONN_STRING", "redis://:zebra\u2100x@cache:6379/0"),
        ("REDIS_CONN_STRING", "cache:6379"),
        ("REDIS_CONN_STRING", "redis://:zebra@cache:6379/first"),
        ("CRYPTO_SECRET", "zebra"),
        ("CRYPTO_SECRET", "change-me-change-me-change-me-zebra"),
        ("CRYPTO_SECRET", "random_string_zebra_0123456789abcdef"),
        ("CRYPTO_SECRET", "a" * 64),
        ("CRYPTO_SECRET", "zebra with spaces and 4f9a1c7be2d05836a91f"),
        ("INITIAL_ROOT_ACCESS_TOKEN", "zebra123"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy.internal"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("TZ", "Mars/Olympus"),
        ("TZ", "../../etc/passwd"),
        ("MAX_REQUEST_BODY_MB", "0"),
        ("STREAMING_TIMEOUT", "5m"),
        ("RELAY_TIMEOUT", "1.5"),
        ("MAX_FILE_DOWNLOAD_MB", "0"),
        ("USER_CONTENT_REQUEST_TIMEOUT", "0"),
        ("MEDIA_FETCH_ALLOWED_NETWORKS", "::/0"),
        ("KEEP_TRANSLATED_RESPONSES", "never"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it_and_the_remedy(name: str, value: str) -> None:
    with pytest.raises(SettingRefused) as refused:
        read({"CRYPTO_SECRET": SECRET} | {name: value})
    line = str(refused.value)
    assert line.startswith(f"{name} ")
    assert ": " in line
    assert "\n" not in line
    assert "zebra" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SQL_DSN", "postgresql://gate:p@zebra@db/gate"),
        ("SQL_DSN", "postgresql://gate:p%zebra@db/gate"),
        ("REDIS_CONN_STRING", "redis://:p#zebra@db/0"),
    ],
)
def test_d6_a_password_that_breaks_an_address_is_told_how_to_be_written(
    name: str, value: str
) -> None:
    with pytest.raises(SettingRefused, match="%40 %3A %2F %3F %23 %25"):
        read({"CRYPTO_SECRET": SECRET, name: value})


@pytest.mark.parametrize(
    "password", ["p@ss/w#rd", "a:b?c%d@e", "it's", "back\\slash", "two words", "密码"]
)
def test_d6_a_password_may_be_given_apart_as_it_is(password: str) -> None:
    apart = "postgresql://gate@db:5432/gate"
    settings = read(
        {
            "CRYPTO_SECRET": SECRET,
            "SQL_DSN": apart,
            "SQL_PASSWORD": password,
            "SQL_OWNER_DSN": "host=db user=owner",
            "SQL_OWNER_PASSWORD": password[::-1],
        }
    )
    assert settings.sql_dsn is not None
    assert settings.sql_owner_dsn is not None
    found = conninfo_to_dict(settings.sql_dsn)
    assert (found["password"], found["user"], found["host"]) == (password, "gate", "db")
    assert conninfo_to_dict(settings.sql_owner_dsn)["password"] == password[::-1]
    encoded = f"postgresql://gate:{quote(password, safe='')}@db:5432/gate?application_name=a@b"
    whole = read({"CRYPTO_SECRET": SECRET, "SQL_DSN": encoded})
    assert whole.sql_dsn is not None
    assert conninfo_to_dict(whole.sql_dsn)["password"] == password


def test_d6_a_password_given_twice_or_to_nothing_is_refused() -> None:
    with pytest.raises(SettingRefused, match=r"^SQL_PASSWORD .* SQL_DSN holds a password") as told:
        read({"CRYPTO_SECRET": SECRET, "SQL_DSN": DSN, "SQL_PASSWORD": "zebra"})
    assert "zebra" not in str(told.value)
    with pytest.raises(SettingRefused, match=r"^SQL_PASSWORD is set without SQL_DSN"):
        read({"SQL_PASSWORD": "zebra"})


def test_d6_the_compose_file_pastes_no_password_into_an_address() -> None:
    text = (Path(__file__).parents[2] / "docker" / "compose.yaml").read_text()
    assert "SQL_PASSWORD: ${POSTGRES_PASSWORD}" in text
    assert not [line for line in text.splitlines() if "://" in line and "${" in line]


@pytest.mark.parametrize("option", ["port", "workers", "host"])
def test_a_bad_option_is_named_as_it_was_written(option: str) -> None:
    with pytest.raises(SettingRefused, match=f"^--{option} "):
        read({}, **{option: "no way"})


def test_an_external_database_needs_the_secret_that_its_nodes_share() -> None:
    with pytest.raises(SettingRefused, match=r"^CRYPTO_SECRET is not set"):
        read({"SQL_DSN": DSN})


def test_an_owner_without_the_role_that_serves_is_refused() -> None:
    with pytest.raises(SettingRefused, match=r"^SQL_OWNER_DSN "):
        read({"SQL_OWNER_DSN": DSN})


def test_the_text_of_settings_holds_no_secret() -> None:
    settings = read(
        {
            "SQL_DSN": DSN,
            "REDIS_CONN_STRING": "redis://:cachepw@cache",
            "CRYPTO_SECRET": SECRET,
            "INITIAL_ROOT_ACCESS_TOKEN": SECRET[::-1],
        }
    )
    text = repr(settings)
    for hidden in (SECRET, SECRET[::-1], "cachepw", "gate:pw"):
        assert hidden not in text


def test_names_of_the_family_that_do_nothing_are_told_without_their_values() -> None:
    settings = read({"SESSION_SECRET": "zebra", "SYNC_FREQUENCY": "60", "PORT": "1"})
    assert settings.notice is not None
    assert "SYNC_FREQUENCY (configuration follows the log within a second)" in settings.notice
    assert "not honoured yet: SESSION_SECRET" in settings.notice
    assert "zebra" not in settings.notice
    assert "PORT" not in settings.notice


def test_nothing_is_told_where_everything_set_is_honoured() -> None:
    assert family_settings.notice(["PORT", "SQL_DSN", "PATH"]) is None


def test_children_inherit_no_secret() -> None:
    settings = read({"CRYPTO_SECRET": SECRET, "EMAIL_PASSWORD": "pw", "PATH": "/bin"})
    assert settings.child_environment == {"PATH": "/bin", "HOME": "/nowhere"}


def test_log_lines_hide_what_opens_doors() -> None:
    masked = log.mask_secrets(
        None,
        "info",
        {
            "event": "cannot reach postgresql://gate:pw1@db/x?password=pw2",
            "api_key": "pw3",
            "dsn": "host=db password='pw4 pw4'",
            "error": "host=db password=pw5 refused",
            "headers": {"Authorization": "Bearer pw6", "x": ["?key=pw7&y"]},
            "key": "sk-abcdefghijklmnopqrstuvwxyz0123456789",
            "count": 3,
        },
    )
    text = repr(masked)
    for hidden in ("pw1", "pw2", "pw3", "pw4", "pw5", "pw6", "pw7", "ghijklmnop"):
        assert hidden not in text
    assert masked["count"] == 3
    assert "gate" in text
