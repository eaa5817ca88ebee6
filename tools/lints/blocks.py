"""Inside `async with ….transaction() as tx` (or another block), nothing but `tx` is awaited.

SQLite has one writer. A body that waits for anything else (a provider, a queue, a follower) holds
up every other transaction, or is refused by the engine at run time; nothing iterates or yields
there either, for the same reason. A coroutine that is handed `tx` counts as part of the body, so
the rule holds in every function that takes a parameter named `tx`.
"""

import ast
from collections.abc import Iterator
from typing import Final

from tools.lints.finding import Finding

OPENERS: Final = frozenset({"transaction", "read", "single", "exclusive"})
TX: Final = "tx"

_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def check(tree: ast.Module, path: str) -> Iterator[Finding]:
    """Find what a body awaits, iterates or yields beside its transaction."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith):
            names = [name for item in node.items if (name := _opened(item)) is not None]
            if names:
                yield from _extra_items(node, path)
                yield from _body(node.body, names[0], path)
        elif isinstance(node, ast.AsyncFunctionDef) and _takes_tx(node):
            yield from _body(node.body, TX, path)


def _opened(item: ast.withitem) -> str | None:
    """Return the name of the transaction that this item opens ("" for one without a name)."""
    call = item.context_expr
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return None
    if call.func.attr not in OPENERS or call.args:
        return None
    return item.optional_vars.id if isinstance(item.optional_vars, ast.Name) else ""


def _extra_items(block: ast.AsyncWith, path: str) -> Iterator[Finding]:
    if len(block.items) > 1:
        message = "open a transaction alone: what stands beside it is awaited inside"
        yield Finding(path, block.lineno, message)


def _takes_tx(function: ast.AsyncFunctionDef) -> bool:
    arguments = function.args
    return any(
        argument.arg == TX
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    )


def _body(statements: list[ast.stmt], name: str, path: str) -> Iterator[Finding]:
    for node in _walk(statements):
        if isinstance(node, ast.Await):
            if not _is_of(node.value, name):
                what = ast.unparse(node.value).split("(")[0]
                message = f"`await {what}` in a transaction: nothing but `{name or TX}` is awaited"
                yield Finding(path, node.lineno, message)
        elif isinstance(node, ast.AsyncFor | ast.AsyncWith):
            what = "iterate" if isinstance(node, ast.AsyncFor) else "enter"
            message = f"do not {what} anything asynchronous in a transaction"
            yield Finding(path, node.lineno, message)
        elif isinstance(node, ast.comprehension) and node.is_async:
            message = "do not iterate anything asynchronous in a transaction"
            yield Finding(path, node.target.lineno, message)
        elif isinstance(node, ast.Yield | ast.YieldFrom):
            yield Finding(path, node.lineno, "do not yield in a transaction")


def _walk(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    """Walk what runs in the body itself: a function that is only defined there does not."""
    waiting: list[ast.AST] = list(statements)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, _NESTED):
            continue
        yield node
        waiting.extend(ast.iter_child_nodes(node))


def _is_of(awaited: ast.expr, name: str) -> bool:
    """Tell whether it is a call on `tx`, or one that is handed `tx` (or a part of it)."""
    if not isinstance(awaited, ast.Call):
        return False
    given = (awaited.func, *awaited.args, *(keyword.value for keyword in awaited.keywords))
    return any(_is_part(value, name) for value in given)


def _is_part(value: ast.expr, name: str) -> bool:
    """Tell whether it is `tx`, an attribute of it, or what a plain function makes of it."""
    while isinstance(value, ast.Attribute):
        value = value.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        return any(isinstance(part, ast.Name) and part.id == name for part in value.args)
    return isinstance(value, ast.Name) and value.id == name
