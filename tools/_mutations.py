"""Where a source file can be changed by one small mistake, and the file with that mistake. Pure.

Only what is inside of functions is changed, as that is what tests can notice: no annotations, decorators, docstrings, texts, logging or
assertions; no constants of modules, which are choices.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

COMPARED: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Eq: ast.NotEq(), ast.NotEq: ast.Eq(), ast.Lt: ast.LtE(), ast.LtE: ast.Lt(), ast.Gt: ast.GtE(), ast.GtE: ast.Gt(),
    ast.In: ast.NotIn(), ast.NotIn: ast.In(), ast.Is: ast.IsNot(), ast.IsNot: ast.Is(),
}  # fmt: skip
COMPUTED: dict[type[ast.operator], ast.operator] = {
    ast.Add: ast.Sub(), ast.Sub: ast.Add(), ast.Mult: ast.FloorDiv(), ast.Div: ast.Mult(), ast.FloorDiv: ast.Mult(),
    ast.Mod: ast.Mult(), ast.LShift: ast.RShift(), ast.RShift: ast.LShift(), ast.BitAnd: ast.BitOr(),
}  # fmt: skip
JOINED: dict[type[ast.boolop], ast.boolop] = {ast.And: ast.Or(), ast.Or: ast.And()}
QUIET = {"debug", "info", "warning", "error", "exception", "critical"}
"""Methods of logs."""


class Mutation(NamedTuple):
    """Bytes `start` to `end` of a file, which are in `line`, are `before` and become `after`."""

    line: int
    start: int
    end: int
    before: str
    after: str

    def apply(self, source: bytes) -> bytes:
        """The file with the mistake."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutations(source: bytes) -> list[Mutation]:
    """All of them, in the order of the file; what would not be Python any more is left out.

    >>> [f"{each.before} -> {each.after}" for each in mutations(b"def f(a):\\n    return a + 1\\n")]
    ['return a + 1 -> return None', 'a + 1 -> (a - 1)', '1 -> (2)']
    """
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, after in _changes(ast.parse(source)):
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        mutation = Mutation(node.lineno, start, end, source[start:end].decode(), after)
        if _is_python(mutation.apply(source)):
            found.append(mutation)
    return sorted(set(found), key=lambda each: (each.start, -each.end, each.after))


def _is_python(source: bytes) -> bool:
    try:
        compile(source, "mutated", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


Change = tuple[ast.expr | ast.stmt, str]


def _changes(tree: ast.Module) -> Iterator[Change]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name != "__repr__":
            for statement in node.body:
                yield from _in_statement(statement)


def _in_statement(node: ast.stmt) -> Iterator[Change]:
    """What can be changed in a statement of a function; functions and classes in it are found by themselves."""
    if isinstance(
        node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Assert | ast.Import | ast.ImportFrom
    ):
        return
    if _is_logging(node) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return
    yield from _instead_of(node)
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.stmt):
            yield from _in_statement(each)
        elif isinstance(each, ast.ExceptHandler | ast.match_case):
            for statement in each.body:
                yield from _in_statement(statement)
            if isinstance(each, ast.match_case) and each.guard is not None:
                yield from _in_expression(each.guard)
        elif isinstance(each, ast.withitem):
            yield from _in_expression(each.context_expr)
        elif isinstance(each, ast.expr) and not (isinstance(node, ast.AnnAssign) and each is node.annotation):
            yield from _in_expression(each)


def _is_logging(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in QUIET
        and ast.unparse(call.func.value).rpartition(".")[2] in ("log", "_log", "logger")
    )


def _instead_of(node: ast.stmt) -> Iterator[Change]:
    """Other statements in place of this one."""
    match node:
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise() | ast.Delete():
            yield node, "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "pass"
        case ast.AugAssign(op=op) if type(op) in COMPUTED:
            yield node, ast.unparse(ast.AugAssign(node.target, COMPUTED[type(op)], node.value))
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield node, "return None"
        case ast.Break():
            yield node, "continue"
        case ast.Continue():
            yield node, "break"
        case ast.If(test=test) | ast.While(test=test) if not _is_turned_anyway(test):
            yield test, f"(not ({ast.unparse(test)}))"


def _is_turned_anyway(test: ast.expr) -> bool:
    """True for a condition whose opposite is found when it is looked at as an expression."""
    if isinstance(test, ast.Compare):
        return len(test.ops) == 1 and isinstance(
            test.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn | ast.Is | ast.IsNot
        )
    return isinstance(test, ast.Constant) or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))


def _in_expression(node: ast.expr) -> Iterator[Change]:
    """Other expressions in place of this one and of those in it."""
    if isinstance(node, ast.JoinedStr):
        return  # Python 3.11 does not know where the parts of a formatted text are
    for after in _other_expressions(node):
        yield node, f"({ast.unparse(after)})"
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.expr):
            yield from _in_expression(each)
        elif isinstance(each, ast.keyword):
            yield from _in_expression(each.value)
        elif isinstance(each, ast.comprehension):
            for part in (each.iter, *each.ifs):
                yield from _in_expression(part)


def _other_expressions(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare(left, [op], right):
            yield ast.Compare(left, [COMPARED[type(op)]], right)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(JOINED[type(op)], values)
        case ast.BinOp(left, op, right) if type(op) in COMPUTED and not _is_text(left) and not _is_text(right):
            yield ast.BinOp(left, COMPUTED[type(op)], right)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield ast.Constant(value + 1)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
