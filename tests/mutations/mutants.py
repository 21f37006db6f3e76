"""One change of one place of a file, that no test may let pass."""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple


class Mutant(NamedTuple):
    """`start` to `end` of the text are replaced by `new`."""

    line: int
    start: int
    end: int
    old: str
    new: str

    def applied(self, text: str) -> str:
        """The broken file."""
        return text[: self.start] + self.new + text[self.end :]

    def __str__(self) -> str:
        old, new = " ".join(self.old.split()), " ".join(self.new.split())
        return f"{self.line}: {old} -> {new}"


_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
}
_OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.FloorDiv: ("//", "*"),
    ast.Div: ("/", "*"),
    ast.BitOr: ("|", "&"),
}
_TWINS = {"max": "min", "min": "max", "any": "all", "all": "any", "divide_up": "divide_half_up"}
_AMOUNTS = ("_nanos", "_us", "tokens")


def python_mutants(text: str) -> list[Mutant]:
    """Of a module: what it asserts, what it says and what it names are left as they are."""
    return sorted(set(_Python(text).mutants()))


class _Python:
    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = [0]
        for line in text.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def mutants(self) -> Iterator[Mutant]:
        yield from self._below(ast.parse(self._text))

    def _below(self, node: ast.AST) -> Iterator[Mutant]:
        if isinstance(node, ast.Assert) or _is_type(node):
            return
        yield from self._of(node)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "bases") or (
                name == "keywords" and isinstance(node, ast.ClassDef)
            ):
                continue
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, ast.AST):
                    yield from self._below(each)

    def _of(self, node: ast.AST) -> Iterator[Mutant]:
        match node:
            case ast.Compare(left=left, ops=ops, comparators=others):
                for op, before, after in zip(ops, [left, *others], others, strict=False):
                    yield self._between(before, after, *_COMPARISONS[type(op)])
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                yield self._between(left, right, *_OPERATORS[type(op)])
            case ast.BoolOp(op=op, values=values):
                old, new = ("and", "or") if isinstance(op, ast.And) else ("or", "and")
                yield self._between(values[0], values[1], old, new)
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
                yield self._replaced(node, self._source(operand))
            case ast.Constant(value=value) if isinstance(value, int):
                other = not value if isinstance(value, bool) else value + 1
                yield self._replaced(node, str(other))
            case ast.Call():
                yield from self._of_call(node)
            case _:
                yield from self._of_choice(node)

    def _of_choice(self, node: ast.AST) -> Iterator[Mutant]:
        match node:
            case ast.IfExp(body=body, orelse=orelse):
                yield self._replaced(node, f"({self._source(body)})")
                yield self._replaced(node, f"({self._source(orelse)})")
            case ast.If(test=test) | ast.While(test=test):
                yield self._replaced(test, "False")
            case ast.comprehension(ifs=ifs):
                yield from (self._replaced(each, "True") for each in ifs)
            case _:
                pass

    def _of_call(self, node: ast.Call) -> Iterator[Mutant]:
        if isinstance(node.func, ast.Name) and node.func.id in _TWINS:
            yield self._replaced(node.func, _TWINS[node.func.id])
            if node.func.id in ("max", "min") and len(node.args) == 2:
                yield from (self._replaced(node, f"({self._source(one)})") for one in node.args)
        for keyword in node.keywords:
            if keyword.arg is not None and keyword.arg.endswith(_AMOUNTS):
                yield self._replaced(keyword.value, "0")

    def _between(self, before: ast.AST, after: ast.AST, old: str, new: str) -> Mutant:
        start, end = self._end(before), self._start(after)
        at = self._text.index(old, start, end)
        return self._mutant(at, at + len(old), new)

    def _replaced(self, node: ast.AST, new: str) -> Mutant:
        return self._mutant(self._start(node), self._end(node), new)

    def _mutant(self, start: int, end: int, new: str) -> Mutant:
        line = self._text.count("\n", 0, start) + 1
        return Mutant(line, start, end, self._text[start:end], new)

    def _source(self, node: ast.AST) -> str:
        return self._text[self._start(node) : self._end(node)]

    def _start(self, node: ast.AST) -> int:
        assert isinstance(node, ast.expr)
        return self._lines[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.AST) -> int:
        assert isinstance(node, ast.expr)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._lines[node.end_lineno - 1] + node.end_col_offset


def _is_type(node: ast.AST) -> bool:
    """`This | That`: names of classes, and nothing that is computed."""
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Name(id=name)):
            return name[0].isupper() and (isinstance(left, ast.Name) or _is_type(left))
        case _:
            return False


_SQL = [
    (r"\bmin\(", "max("),
    (r"\bmax\(", "min("),
    (r"\bleast\(", "greatest("),
    (r"\bgreatest\(", "least("),
    (r"\bbool_or\(", "bool_and("),
    (r" > ", " >= "),
    (r" < ", " <= "),
    (r" <= ", " < "),
    (r" is not null", " is null"),
    (r" is null", " is not null"),
    (r" \+ 1\b", " + 2"),
    (r" - 1\b", " - 2"),
    (r" \+ (?=excluded|p_|hi|n\b|stored|last_event|i\b)", " - "),
    (r" - (?=p_|b\.|lo|n\b|p >|used)", " + "),
    (r"\band not exists\b", "and exists"),
    (r"\bnot exists\b", "exists"),
    (r" and (?=e\.|c\.|p_)", " or "),
    (r"then 1$", "then 0"),
    (r"then 2 else", "then 0 else"),
    (r"status\[g\] := \d", "status[g] := 0"),
    (r"4000000000000000000", "9000000000000000000"),
    (r"p_has_configuration then", "false then"),
    (r"perform pg_notify\('ledger_event', ''\);", ""),
    (r"raise exception 'over budget'[^;]*;", "null;"),
    (r"raise exception 'a balance would leave its range'[^;]*;", "null;"),
    (r"raise exception 'an event must follow its predecessor'[^;]*;", "null;"),
]
"""What is broken in the append function: a pattern, and what stands in its place."""


def sql_mutants(text: str, functions: tuple[str, ...]) -> list[Mutant]:
    """Of a migration: within the bodies of these functions, comments left as they are."""
    found = set()
    for body in (_body(text, name) for name in functions):
        for pattern, new in _SQL:
            for hit in re.finditer(pattern, body.group(1), re.MULTILINE):
                start, end = body.start(1) + hit.start(), body.start(1) + hit.end()
                line_start = text.rfind("\n", 0, start) + 1
                if "--" in text[line_start:start]:
                    continue
                line = text.count("\n", 0, start) + 1
                found.add(Mutant(line, start, end, text[start:end], new))
    return sorted(found)


def _body(text: str, function: str) -> "re.Match[str]":
    begun = text.index(f"function ledger.{function}(")
    body = re.compile(r"\bas \$\$(.*?)end \$\$;", re.DOTALL).search(text, begun)
    assert body is not None
    return body
