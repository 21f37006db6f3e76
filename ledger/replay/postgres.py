"""The library's infrastructure on Postgres, opened by a DSN; a PERSISTENCE_MODULE.

`SQL_DSN`, or `NAME_SQL_DSN` for the application or the projection of that name, stands for the
library's POSTGRES_DBNAME, _HOST, _PORT, _USER and _PASSWORD, and says what those cannot (TLS).
"""

from eventsourcing import postgres
from eventsourcing.utils import Environment, EnvType
from psycopg.conninfo import conninfo_to_dict

_REQUIRED = ("dbname", "host", "user", "password")


class Factory(postgres.PostgresFactory):
    """Opens what `SQL_DSN` names. Raises OSError where it is missing, psycopg's for a bad one."""

    def __init__(self, env: Environment | EnvType | None) -> None:
        given = env if isinstance(env, Environment) else Environment(env=env)
        dsn = given.get("SQL_DSN")
        if dsn is None:
            raise OSError(f"{' or '.join(given.create_keys('SQL_DSN'))} is not in the environment")
        parameters = conninfo_to_dict(dsn)
        required = {f"POSTGRES_{one.upper()}": str(parameters.get(one, "")) for one in _REQUIRED}
        super().__init__(Environment(given.name, {"POSTGRES_POOL_SIZE": "1", **given, **required}))
        assert isinstance(self.datastore.pool.kwargs, dict)
        self.datastore.pool.kwargs |= parameters
