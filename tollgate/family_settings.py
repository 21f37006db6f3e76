"""Environment names that operators of this family of gateways set, and that do nothing here."""

from collections.abc import Iterable, Mapping

NEEDLESS: Mapping[str, str] = {
    "SQLITE_BUSY_TIMEOUT": "the books are in Postgres",
    "MEMORY_CACHE_ENABLED": "configuration is always held in memory and follows the log",
    "SYNC_FREQUENCY": "configuration follows the log within a second",
    "BATCH_UPDATE_ENABLED": "appends are always grouped, and always durable",
    "BATCH_UPDATE_INTERVAL": "appends are grouped without waiting",
    "SQL_MAX_IDLE_CONNS": "pools are sized by the number of workers",
    "SQL_MAX_OPEN_CONNS": "pools are sized by the number of workers",
    "SQL_CONN_MAX_LIFETIME": "connections are replaced by themselves",
    "REDIS_CONN_POOL_SIZE": "each process has one pipelined connection",
    "TIKTOKEN_CACHE_DIR": "the rank files come with the installation",
    "DATA_GYM_CACHE_DIR": "the rank files come with the installation",
    "PYROSCOPE_MUTEX_RATE": "it has no meaning in Python",
    "PYROSCOPE_BLOCK_RATE": "it has no meaning in Python",
    "GET_MEDIA_TOKEN": "media are always counted, or a call could cost more than is held for it",
    "GET_MEDIA_TOKEN_NOT_STREAM": "media are always counted",
    "NODE_TYPE": "background work elects its own node",
}

NOT_YET: tuple[str, ...] = (
    "LOG_SQL_DSN",
    "REDIS_PASSWORD",
    "REDIS_MASTER_NAME",
    "SESSION_SECRET",
    "FRONTEND_BASE_URL",
    "INITIAL_ROOT_TOKEN",
    "DEFAULT_QUOTA",
    "GLOBAL_USER_QUOTA",
    "GENERATE_DEFAULT_TOKEN",
    "NOTIFICATION_LIMIT_DURATION_MINUTE",
    "NOTIFY_LIMIT_COUNT",
    "GLOBAL_API_RATE_LIMIT",
    "GLOBAL_WEB_RATE_LIMIT",
    "STREAM_SCANNER_MAX_BUFFER_MB",
    "CHANNEL_UPDATE_FREQUENCY",
    "CHANNEL_TEST_FREQUENCY",
    "POLLING_INTERVAL",
    "ENABLE_METRIC",
    "METRIC_QUEUE_SIZE",
    "METRIC_SUCCESS_RATE_THRESHOLD",
    "TEST_PROMPT",
    "FORCE_STREAM_OPTION",
    "ENFORCE_INCLUDE_USAGE",
    "UPDATE_TASK",
    "AZURE_DEFAULT_API_VERSION",
    "COHERE_SAFETY_SETTING",
    "GEMINI_VISION_MAX_IMAGE_NUM",
    "GEMINI_VERSION",
    "DIFY_DEBUG",
    "EMAIL_SERVER",
    "EMAIL_FROM",
    "EMAIL_PASSWORD",
    "ERROR_LOG_ENABLED",
    "PYROSCOPE_URL",
    "PYROSCOPE_APP_NAME",
    "PYROSCOPE_BASIC_AUTH_USER",
    "PYROSCOPE_BASIC_AUTH_PASSWORD",
)


def notice(names: Iterable[str]) -> str | None:
    """One line about the names that are set to no effect; None where there are none.

    Only names are looked at: a value may be a secret.
    """
    given = set(names)
    needless = [f"{name} ({reason})" for name, reason in NEEDLESS.items() if name in given]
    not_yet = [name for name in NOT_YET if name in given]
    parts = []
    if needless:
        parts.append("needless here: " + ", ".join(needless))
    if not_yet:
        parts.append("not honoured yet: " + ", ".join(not_yet))
    return "; ".join(parts) or None
