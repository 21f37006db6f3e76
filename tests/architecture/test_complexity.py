"""How much a reader has to keep in mind: branches, loops and boolean operators of a function."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("ledger", "projections", "gateway", "admin_api", "tollgate")
COMPLEXITY_MAX = 12

_BRANCHES = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case, ast.comprehension
)  # fmt: skip
_OTHER_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)

TABLES = {
    # A row for each event, block or member that a format knows.
    "gateway/formats/anthropic_messages/requests/conversation.py _foreign": 16,
    "gateway/formats/anthropic_messages/requests/writing_options.py _think": 17,
    "gateway/formats/bedrock_converse/answers/reading_blocks.py _parts": 13,
    "gateway/formats/gemini/requests/conversation.py read_part": 13,
    "gateway/formats/gemini/requests/schemas.py as_json_schema": 14,
    "gateway/formats/openai_chat/answers/stream.py _read": 15,
    "gateway/formats/openai_chat/answers/turn.py _message": 13,
    "gateway/formats/openai_responses/answers/reading_events.py _read": 14,
    "gateway/formats/openai_responses/answers/stream.py _read": 17,
    "gateway/formats/openai_responses/requests/conversation.py _part": 14,
    "gateway/formats/shared/usage_totals.py reconciled": 14,
    "gateway/providers/shared/older_chat.py _messages": 15,
    # A column, a rule or a bound on each line.
    "gateway/media/egress.py _checked": 13,
    "ledger/export/selection.py __post_init__": 14,
    "ledger/price_book/catalogue.py _schedule": 13,
    "ledger/reprice.py billed_call": 13,
    "ledger/store/append.py parameters": 21,
    "projections/reconciliation/formats/generic.py _checked": 20,
    "projections/reconciliation/matching.py match": 13,
    "projections/views/usage_quarter_hours.py fold": 13,
    "tollgate/server/http_head.py check_headers": 13,
}
"""Functions that are tables in disguise: none may grow, and whoever shrinks one lowers its line."""


def test_no_function_asks_more_of_its_reader_than_promised() -> None:
    above = {place: many for place, many in _complexities().items() if many > COMPLEXITY_MAX}
    assert above == TABLES


def _complexities() -> dict[str, int]:
    found: dict[str, int] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    place = f"{path.relative_to(ROOT)} {node.name}"
                    found[place] = max(found.get(place, 0), _complexity(node))
    return found


def _complexity(function: ast.AST) -> int:
    count, left = 1, list(ast.iter_child_nodes(function))
    while left:
        node = left.pop()
        if isinstance(node, _OTHER_SCOPES):
            continue
        count += isinstance(node, _BRANCHES)
        if isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
        left += ast.iter_child_nodes(node)
    return count
