"""No code without a caller: what only tests use is used by nobody.

Each list of exceptions says why, and is wrong as soon as one of its lines is not needed any more.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch

from tests.architecture.uses import Named, sources, users

_VIEWS = "projections.views."
_IS_FOLDED = "projections.registry"
"""What folds a read model does not read it."""
_SELECTED = re.compile(r"\b(?:from|join) projections\.(\w+)")

ASKED_BY_NOBODY_YET: dict[str, str] = {}
CALLED_BY_NOBODY = {
    "ledger.export.formats.*.begin": "imported by the name of the format when a file is begun",
}


def test_every_read_model_has_a_reader() -> None:
    assert [name for name in _read_models() if not _readers(name)] == []


def test_every_command_of_the_core_is_given_by_somebody() -> None:
    unasked = {str(command) for command in _commands() if not _given_by(command)}
    assert unasked - ASKED_BY_NOBODY_YET.keys() == set(), "commands that nobody can give"
    assert ASKED_BY_NOBODY_YET.keys() - unasked == set(), "they are given: take them off the list"


def test_every_public_function_and_class_has_a_caller() -> None:
    uncalled = {str(named) for named in _public() if not users().get(named)}
    assert _beyond(uncalled, CALLED_BY_NOBODY) == set(), "nobody but tests uses these"
    lines = CALLED_BY_NOBODY.keys()
    needless = {line for line in lines if not any(fnmatch(one, line) for one in uncalled)}
    assert needless == set(), "they have callers: take them off the list"


def _read_models() -> list[str]:
    return [module.removeprefix(_VIEWS) for module in sources() if module.startswith(_VIEWS)]


def _readers(read_model: str) -> set[str]:
    """The modules that use more of it than its name and version, or select from its table."""
    module = _VIEWS + read_model
    by_name = {
        user
        for name in sources()[module].defined
        if name != "PROJECTION"
        for user in users().get(Named(module, name), ())
    }
    by_query = {
        reader
        for reader, source in sources().items()
        for text in source.texts
        if read_model in _SELECTED.findall(text)
    }
    return {one for one in by_name | by_query if not one.startswith((_VIEWS, _IS_FOLDED))}


def _commands() -> Iterator[Named]:
    """What the `decide` of each stream takes, one by one."""
    for module, source in sources().items():
        decide = source.defined.get("decide")
        if not module.startswith("ledger.streams.") or not isinstance(decide, ast.FunctionDef):
            continue
        (command,) = (one for one in decide.args.args if one.arg == "command")
        for name in _names(command.annotation):
            match source.defined[name]:
                case ast.Assign(value=union):
                    yield from (Named(module, each) for each in _names(union))
                case _:
                    yield Named(module, name)


def _names(types: ast.expr | None) -> list[str]:
    assert types is not None
    return [node.id for node in ast.walk(types) if isinstance(node, ast.Name)]


def _given_by(command: Named) -> set[str]:
    return {user for user in users().get(command, ()) if not user.startswith("ledger.streams.")}


def _public() -> Iterator[Named]:
    for module, source in sources().items():
        for name, node in source.defined.items():
            is_called = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if is_called and not name.startswith("_") and not _is_route(node):
                yield Named(module, name)


def _is_route(node: ast.stmt) -> bool:
    """Whether the application calls it, under a path."""
    for decorator in getattr(node, "decorator_list", ()):
        match decorator:
            case ast.Call(func=ast.Attribute(attr="get" | "post" | "put" | "patch" | "delete")):
                return True
            case _:
                pass
    return False


def _beyond(found: set[str], excepted: Mapping[str, str]) -> set[str]:
    return {one for one in found if not any(fnmatch(one, line) for line in excepted)}
