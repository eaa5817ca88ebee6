"""What schemathesis is told about Palaver (`SCHEMATHESIS_HOOKS=tests.conformance.hooks`)."""

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import schemathesis

# What exists, by the name of the path parameter: written by whoever runs this.
SEEDS: dict[str, list[str]] = json.loads(os.environ.get("PALAVER_SEEDS", "{}"))  # noqa: TID251


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
    """Demand more than the document can say.

    An answer holds the documented fields and no others. OpenAPI 3.1 has no word for the events of
    a stream, 3.2 has: so each of them is checked as well.
    """
    schemas = raw_schema["components"]["schemas"]
    for name in set(schemas) - set(_asked(raw_schema)):
        if schemas[name].get("type") == "object":
            schemas[name].setdefault("additionalProperties", False)
    for operation in _operations(raw_schema):
        for answer in operation["responses"].values():
            stream = answer.get("content", {}).get("text/event-stream")
            if stream is not None:
                stream["itemSchema"] = {
                    "type": "object",
                    "required": ["data"],
                    "properties": {
                        "data": {
                            "type": "string",
                            "contentMediaType": "application/json",
                            "contentSchema": stream["x-event-data"],
                        }
                    },
                }


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Ask mostly for what is there: of random ids none is."""
    meta = case.meta
    if meta is None or meta.generation.mode.is_negative or meta.phase.name.name == "STATEFUL":
        return
    rng = random.Random(case.id)
    for name in case.path_parameters or {}:
        if name in SEEDS and rng.random() < 0.8:
            case.path_parameters[name] = rng.choice(SEEDS[name])


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document["paths"].values():
        yield from item.values()


def _asked(document: dict[str, Any]) -> Iterator[str]:
    """Yield the names of the shapes that clients send: there unknown fields are ignored."""
    schemas = document["components"]["schemas"]
    waiting = [operation.get("requestBody", {}) for operation in _operations(document)]
    seen: set[str] = set()
    while waiting:
        for name in _references(waiting.pop()):
            if name not in seen:
                seen.add(name)
                waiting.append(schemas[name])
                yield name


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
