"""The fixtures that every other test stands on."""

import psycopg
import redis

from tests.servers import FreshDatabase


def test_a_fresh_database_is_empty_and_open_to_both_roles(database: FreshDatabase) -> None:
    for dsn, role in (
        (database.owner_dsn, "tollgate_owner"),
        (database.app_dsn, "tollgate_app"),
    ):
        with psycopg.connect(dsn) as connection:
            assert connection.execute(
                "SELECT current_user::text, current_database()::text, count(*) "
                "FROM pg_tables WHERE schemaname = 'public'"
            ).fetchone() == (role, database.name, 0)


def test_the_redis_of_a_test_is_empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


def test_what_another_test_left_in_redis_is_gone(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.get("left") is None
