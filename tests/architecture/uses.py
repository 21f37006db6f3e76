"""Who uses which name of the rooms, read from the sources: nothing is imported, nothing runs."""

import ast
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ROOMS = ("ledger", "projections", "gateway", "admin_api", "tollgate")
EXAMPLES = "docs/examples"
"""Programs of others, as the documentation prints them: they use what is public to them."""
_ANNOTATED = {
    ast.arg: "annotation",
    ast.AnnAssign: "annotation",
    ast.FunctionDef: "returns",
    ast.AsyncFunctionDef: "returns",
}


class Named(NamedTuple):
    """Something at the top of a module."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class Source:
    """A module: what it defines at its top, and what it uses of any module.

    Its own names are used where another definition of it names them, never within themselves.
    """

    defined: Mapping[str, ast.stmt]
    used: frozenset[Named]
    texts: tuple[str, ...]


@functools.cache
def sources() -> dict[str, Source]:
    """Every module of the rooms, by its name."""
    return {name: one for name, one in _read().items() if name.partition(".")[0] in ROOMS}


@functools.cache
def _read() -> dict[str, Source]:
    paths = [path for folder in (*ROOMS, EXAMPLES) for path in (ROOT / folder).rglob("*.py")]
    trees = {_module(path): ast.parse(path.read_text()) for path in paths}
    return {module: _source(module, tree, trees) for module, tree in trees.items()}


@functools.cache
def users() -> dict[Named, set[str]]:
    """The modules that use a name."""
    found: dict[Named, set[str]] = {}
    for module, source in _read().items():
        for named in source.used:
            found.setdefault(named, set()).add(module)
    return found


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _source(module: str, tree: ast.Module, modules: Mapping[str, ast.Module]) -> Source:
    defined: dict[str, ast.stmt] = {}
    used: set[Named] = set()
    aliases: dict[str, str] = {}
    members: set[tuple[str, str]] = set()
    texts: list[str] = []
    for statement in tree.body:
        own = _names_of(statement)
        defined |= dict.fromkeys(own, statement)
        for node in _nodes(statement):
            match node:
                case ast.Name(id=name, ctx=ast.Load()) if name not in own:
                    used.add(Named(module, name))
                case ast.Attribute(value=ast.Name(id=alias), attr=name):
                    members.add((alias, name))
                case ast.Constant(value=str(text)):
                    texts.append(text)
                    if (named := _reference(text, modules)) is not None:
                        used.add(named)
                case ast.ImportFrom(module=str(origin)) if origin in modules:
                    aliases |= _modules_in(node, modules)
                    # Nothing is imported that is not used: the linter sees to that.
                    used |= {Named(origin, each.name) for each in node.names}
                case _:
                    pass
    used |= {Named(aliases[alias], name) for alias, name in members if alias in aliases}
    return Source(defined, frozenset(used), tuple(texts))


def _modules_in(node: ast.ImportFrom, modules: Mapping[str, ast.Module]) -> dict[str, str]:
    """The imported modules by the names they have here."""
    whole = {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return {alias: module for alias, module in whole.items() if module in modules}


def _reference(text: str, modules: Mapping[str, ast.Module]) -> Named | None:
    """What is imported by its name, `module:name`, when it is needed."""
    origin, colon, name = text.partition(":")
    return Named(origin, name) if colon and origin in modules else None


def _names_of(statement: ast.stmt) -> list[str]:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [statement.name]
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def _nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    """Every node below, and those of types that are written in quotes."""
    for node in ast.walk(statement):
        yield node
        quoted: ast.AST | None = None
        if (member := _ANNOTATED.get(type(node))) is not None:
            quoted = getattr(node, member)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "cast":
            quoted = node.args[0]
        if isinstance(quoted, ast.Constant) and isinstance(quoted.value, str):
            yield from ast.walk(ast.parse(quoted.value, mode="eval"))
