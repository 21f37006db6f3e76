"""What Converse says was used, as the ledger's disjoint classes.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html and
.../userguide/prompt-caching.html. `inputTokens` excludes what was read from and written to the
cache, and `totalTokens` may or may not; `cacheDetails` divides what was written by its lifetime.
What was thought lies within `outputTokens`, and how much of them it is is not told.
"""

from functools import partial

from gateway.formats.shared import usage_reader
from gateway.formats.shared.usage_table import Path, Row, UsageTable, paths

_FOR_AN_HOUR = Path("cacheDetails", ("inputTokens",), ("ttl", "1h"))
_FOR_MINUTES = Path("cacheDetails", ("inputTokens",), ("ttl", "1h"), is_other=True)

TABLE = UsageTable(
    wholes={"input": paths("inputTokens"), "output": paths("outputTokens")},
    total=paths("totalTokens"),
    rows=(
        Row(kind="cache_read", paths=paths("cacheReadInputTokens"), is_beside_total=True),
        Row(kind="cache_write_1h", paths=(_FOR_AN_HOUR,), is_beside_total=True),
        Row(kind="cache_write_5m", paths=(_FOR_MINUTES,), is_beside_total=True),
        Row(
            kind="cache_write_5m",
            paths=paths("cacheWriteInputTokens"),
            less=_FOR_AN_HOUR,
            is_beside_total=True,
        ),
    ),
)

read_usage = partial(usage_reader.read_usage, TABLE)
"""The usage in a decoded `usage` value, and what is wrong with it; see `usage_reader.Read`."""
