"""Every use case says who calls: a service's public method begins with `actor`.

A use case without a caller is one that checks nobody. And none is an async generator: that runs
nothing until the response has begun, so what it refuses becomes a broken 200.

`EXCEPTIONS` lists the methods that no caller is behind, each with the reason.
"""

import ast
from collections.abc import Iterator, Mapping
from typing import Final

from tools.lints.finding import Finding

FOLDER: Final = "src/palaver/services/"
SUFFIX: Final = "Service"

MAKES_ACTORS: Final = "it makes an actor of a credential"
STOPS: Final = "it stops what runs: the server ends, and nobody calls"
COMPUTES: Final = "it computes with what it is given, and looks nothing up"
SERVES: Final = "an answer that was started needs it, for the owner who started it"
EXCEPTIONS: Final[Mapping[str, str]] = {
    "ApiKeyService.authenticate": MAKES_ACTORS,
    "CallService.close": STOPS,
    "CompletionService.close": STOPS,
    "DeliveryService.close": STOPS,
    "EmbeddingService.close": STOPS,
    "GroundingService.can_ground": COMPUTES,
    "GroundingService.close": STOPS,
    "GroundingService.find": SERVES,
    "GroundingService.has_engine": COMPUTES,
    "GroundingService.require": COMPUTES,
    "MemoryService.relevant": SERVES,
    "ModelService.close": STOPS,
    "PictureService.shown": SERVES,
    "RetrievalService.close": STOPS,
    "RetrievalService.find": SERVES,
    "SessionService.authenticate_cookie": MAKES_ACTORS,
    "SessionService.authenticate_token": MAKES_ACTORS,
    "SessionService.csrf_token": COMPUTES,
    "SessionService.is_csrf_token": COMPUTES,
    "SingleSignOnService.close": STOPS,
}


def check(
    tree: ast.Module, path: str, exceptions: Mapping[str, str] = EXCEPTIONS
) -> Iterator[Finding]:
    """Find use cases of nobody, and those that refuse too late."""
    if not path.startswith(FOLDER):
        return
    for service in tree.body:
        if not isinstance(service, ast.ClassDef) or not service.name.endswith(SUFFIX):
            continue
        for method in service.body:
            if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            name = f"{service.name}.{method.name}"
            if method.name.startswith("_"):
                continue
            if isinstance(method, ast.AsyncFunctionDef) and _yields(method):
                message = f"{name} is an async generator: await the checks, then return an iterator"
                yield Finding(path, method.lineno, message)
            if name not in exceptions and not _begins_with_actor(method):
                message = f"{name} does not begin with `actor`: a use case knows who calls it"
                yield Finding(path, method.lineno, message)


def stale(trees: Mapping[str, ast.Module], exceptions: Mapping[str, str]) -> list[str]:
    """Return the exceptions that no method needs any more."""
    needing = {
        f"{service.name}.{method.name}"
        for tree in trees.values()
        for service in tree.body
        if isinstance(service, ast.ClassDef)
        for method in service.body
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
        and not _begins_with_actor(method)
    }
    return sorted(set(exceptions) - needing)


def _begins_with_actor(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = [*method.args.posonlyargs, *method.args.args]
    return len(arguments) > 1 and arguments[0].arg == "self" and arguments[1].arg == "actor"


def _yields(function: ast.AsyncFunctionDef) -> bool:
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))
    return False
