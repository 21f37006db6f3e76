"""Addresses of Redis, as operators write them."""

import pytest

from projections.cache.address import Address


def test_a_socket_is_read_with_its_database_and_its_escapes() -> None:
    address = Address.parse("unix:///run/with%20space/valkey.sock?db=3")

    assert (address.path, address.database) == ("/run/with space/valkey.sock", 3)
    assert address.password is None


def test_a_host_is_read_with_password_port_and_database() -> None:
    address = Address.parse("redis://:p%40ss@cache.internal:7000/2")

    assert (address.host, address.port, address.database) == ("cache.internal", 7000, 2)
    assert (address.username, address.password) == (None, "p@ss")
    assert (address.path, address.tls) == (None, False)


def test_a_user_and_tls_are_read_and_the_rest_has_its_usual_value() -> None:
    address = Address.parse("rediss://tollgate:secret@cache.internal")

    assert (address.username, address.password, address.tls) == ("tollgate", "secret", True)
    assert (address.port, address.database) == (6379, 0)


def test_the_password_is_no_part_of_the_text() -> None:
    assert "hunter2" not in repr(Address.parse("redis://:hunter2@localhost"))


@pytest.mark.parametrize(
    "url",
    ["http://:hunter2@host", "host:6379", "unix://", "redis://:hunter2@host/two", "redis://h:port"],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        Address.parse(url)

    assert "hunter2" not in str(refusal.value)
