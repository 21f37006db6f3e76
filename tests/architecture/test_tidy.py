"""The house rules, counted. Each failure names the file and the line."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("ledger", "projections", "gateway", "admin_api", "tollgate")
FILE_LINES_MAX = 350
TABLE_OF_TESTS_LINES_MAX = 600
FUNCTION_LINES_MAX = 60
BESIDE_EACH_OTHER_MAX = 15
MEANINGLESS = {"utils", "util", "helpers", "helper", "common", "base", "misc", "shared"}
MONEY = (
    "ledger/money.py",
    "ledger/pricing.py",
    "ledger/streams",
    "ledger/store/append.py",
    "gateway/call/charges/charge_book.py",
    "gateway/call/charges/charge_store.py",
    "gateway/call/charges/open_charge.py",
)


def test_no_file_is_longer_than_promised() -> None:
    assert _longer_than(FILE_LINES_MAX, *ROOMS) == {}
    assert _longer_than(TABLE_OF_TESTS_LINES_MAX, "tests") == {}


def test_no_function_is_longer_than_promised() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path, node in _nodes(*ROOMS)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]
    assert long == []


def test_no_folder_is_a_heap() -> None:
    """But for folders of variants: one file each beside a contract, and nobody reads them all."""
    crowded = {}
    for room in ("gateway", "admin_api", "tollgate"):
        folders = {path.parent for path in _sources(room)}
        for folder in folders:
            modules = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
            if len(modules) > BESIDE_EACH_OTHER_MAX and "contract.py" not in modules:
                crowded[str(folder.relative_to(ROOT))] = len(modules)
    assert crowded == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(path) for path in _sources(*ROOMS) if not _docstring(path)]
    assert silent == []


def test_a_package_front_page_holds_its_docstring_and_nothing_else() -> None:
    fronts = [path for path in _sources(*ROOMS) if path.name == "__init__.py"]
    assert [str(path) for path in fronts if len(ast.parse(path.read_text()).body) > 1] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in _sources(*ROOMS) if path.stem in MEANINGLESS] == []


def test_evolve_never_refuses_what_already_happened() -> None:
    refusals = [
        f"{path}:{inner.lineno}"
        for path, node in _nodes("ledger/streams")
        if isinstance(node, ast.FunctionDef) and node.name == "evolve"
        for inner in ast.walk(node)
        if isinstance(inner, ast.Raise)
    ]
    assert refusals == []


def test_no_float_touches_money() -> None:
    floats = [
        f"{path}:{node.lineno}"
        for path, node in _nodes(*MONEY)
        if (isinstance(node, ast.Name) and node.id == "float")
        or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div))
    ]
    # Deadlines and pauses are floats of seconds; they carry their unit in their name.
    assert [place for place in floats if not _is_about_time(place)] == []


def test_a_published_topic_is_never_renamed() -> None:
    """The topics of this release; a line may be added, none may change."""
    published = (ROOT / "ledger/schemas/topics.txt").read_text().split()
    source = "\n".join(path.read_text() for path in _sources("ledger/streams"))
    topics = set(re.findall(r'TOPIC: ClassVar\[str\] = "([^"]+)"', source))
    assert set(published) - topics == set(), "a published topic is gone"
    assert topics - set(published) == set(), "publish it: ledger/schemas/topics.txt"


def _longer_than(lines_max: int, *folders: str) -> dict[str, int]:
    lengths = {str(path): len(path.read_text().splitlines()) for path in _sources(*folders)}
    return {path: lines for path, lines in lengths.items() if lines > lines_max}


def _is_about_time(place: str) -> bool:
    path, _, line = place.rpartition(":")
    text = (ROOT / path).read_text().splitlines()[int(line) - 1]
    return "_s:" in text or "_s " in text


def _nodes(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    for path in _sources(*folders):
        for node in ast.walk(ast.parse(path.read_text())):
            yield str(path.relative_to(ROOT)), node


def _docstring(path: Path) -> str | None:
    return ast.get_docstring(ast.parse(path.read_text()))


def _sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        place = ROOT / folder
        yield from [place] if place.is_file() else sorted(place.rglob("*.py"))
