"""Where a Python source could hold a small fault: `mutants.py` puts one in at a time."""

import ast
import re
from collections.abc import Iterator

TURNED = {
    ast.Lt: ("<", "<=", ">"),
    ast.LtE: ("<=", "<", ">="),
    ast.Gt: (">", ">=", "<"),
    ast.GtE: (">=", ">", "<="),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}
PAIRS = ("min max", "argmin argmax", "minimum maximum", "nanmin nanmax", "any all", "floor ceil")
OTHER = dict(p.split() for p in PAIRS) | dict(p.split()[::-1] for p in PAIRS)
OTHER |= {"mean": "sum", "sum": "mean", "zeros": "ones", "ones": "zeros"}


def faults_of(source: bytes) -> Iterator[dict]:
    """Each fault as kind, line, start and end (bytes), `old` and `new` text."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def span(node: ast.AST) -> tuple[int, int]:
        first = starts[node.lineno - 1] + node.col_offset
        return first, starts[node.end_lineno - 1] + node.end_col_offset

    for kind, start, end, new in _sites(ast.parse(source), source, span):
        line = source[:start].count(b"\n")
        text = source[starts[line] : starts[line + 1]].decode().strip()
        old = source[start:end].decode()
        where = {"start": start, "end": end, "line": line + 1, "text": text}
        yield {"kind": kind, "old": old, "new": new, **where}


def _sites(node: ast.AST, source: bytes, span) -> Iterator[tuple[str, int, int, str]]:
    if isinstance(node, ast.Raise):
        yield "no refusal", *span(node), "pass"
    # What is said, and what is only for the reader, is no science.
    called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
    if isinstance(node, ast.Raise | ast.JoinedStr) or called in ("log", "warnings.warn"):
        return
    # strict=True asks for lengths that are equal anyhow.
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return
    yield from _own_sites(node, source, span)
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _sites(child, source, span)


def _between(left: ast.AST, right: ast.AST, op: ast.AST, source: bytes, span):
    """An operator's place between its operands, and what it could be instead."""
    if type(op) in TURNED:
        old, *others = TURNED[type(op)]
        gap = span(left)[1]
        at = re.search(re.escape(old.encode()), source[gap : span(right)[0]])
        for new in others if at else ():
            yield gap + at.start(), gap + at.end(), new


def _own_sites(node: ast.AST, source: bytes, span) -> Iterator[tuple[str, int, int, str]]:
    def text(part: ast.AST) -> str:
        return source[slice(*span(part))].decode()

    match node:
        case ast.Compare():
            operands = [node.left, *node.comparators]
            for left, right, op in zip(operands, operands[1:], node.ops, strict=False):
                for found in _between(left, right, op, source, span):
                    yield "comparison", *found
        case ast.BinOp() | ast.AugAssign():
            ends = (node.left, node.right) if hasattr(node, "left") else (node.target, node.value)
            for found in _between(*ends, node.op, source, span):
                yield "operator", *found
        case ast.BoolOp():
            for found in _between(*node.values[:2], node.op, source, span):
                yield "and/or", *found
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub()):
            yield "sign", *span(node), f" ({text(node.operand)})"
        case ast.keyword(arg="axis", value=ast.Constant(value=int(axis))):
            yield "axis", *span(node.value), str(1 - axis)
        case ast.Constant(value=bool(value)):
            yield "switch", *span(node), str(not value)
        case ast.Constant(value=int(value)):
            yield "constant", *span(node), str(value + 1)
        case ast.Constant(value=float(value)):
            yield "constant", *span(node), repr(2 * value or 1.0)
        case ast.Constant(value="left" | "right"):
            yield "side", *span(node), {"left": '"right"', "right": '"left"'}[node.value]
        case ast.Attribute(attr=name) if name in OTHER:
            end = span(node)[1]
            yield "other function", end - len(name), end, OTHER[name]
        case ast.Name(id=name, ctx=ast.Load()) if name in OTHER:
            yield "other function", *span(node), OTHER[name]
        case ast.Return(value=ast.Tuple(elts=[first, second])):
            yield "swapped", *span(node.value), f"({text(second)}, {text(first)})"
        case ast.Call(args=[ast.Name(), ast.Name(), *_]):
            first, second = node.args[:2]
            new = f"{text(second)}, {text(first)}"
            yield "swapped", span(first)[0], span(second)[1], new
    match node:
        case ast.If() | ast.IfExp() | ast.While():
            yield "negated", *span(node.test), f"not ({text(node.test)})"
        case ast.For(iter=ast.Call(func=ast.Name(id="range"))):
            yield "loop", *span(node.iter), f"{text(node.iter)}[:1]"
