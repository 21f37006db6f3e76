"""A model that does what it is told: `CALL name {arguments}` calls a tool, and so on.

`STEP number name {arguments}` is a call as well, of a task of several: what has one number is
called at once, and the next number once all of that was answered.
"""

import json
import re
from typing import Any

from tests.obedient.contract import Asked, Call, Figures, Said

TEXT = "a fine answer"
THOUGHT = "let me see"
LOOKING = "I look"

_STEP = re.compile(r"^\s*STEP (\d+) (\S+) (\{.*\})\s*$", re.MULTILINE)
_CALL = re.compile(r"^\s*CALL (\S+) (\{.*\})\s*$", re.MULTILINE)


def answer(asked: Asked, number: int) -> Said:
    """The turn after what was asked; `number` tells answers apart, and their usage too."""
    calls = _told_to_call(asked, number)
    figures = Figures(
        fresh=700 + number, cached=300 + number, made=50 + number, thought=20 + number
    )
    return Said(
        number=number,
        thought=THOUGHT if calls or "THINK" in "".join(asked.texts) else "",
        text=LOOKING if calls else _words(asked),
        calls=calls,
        figures=figures,
    )


def _told_to_call(asked: Asked, number: int) -> tuple[Call, ...]:
    if any(_STEP.search(text) for text in asked.texts):
        return _step(asked, number)
    if asked.results:
        return ()
    if asked.must_call:
        name = asked.forced or next(iter(asked.tools))
        return (Call(f"call_{number}_0", name, _example(asked.tools[name])),)
    told = [match for text in asked.texts for match in _CALL.finditer(text)]
    return _calls([(match[1], match[2]) for match in told], asked, number)


def _step(asked: Asked, number: int) -> tuple[Call, ...]:
    """The calls of the step whose turn it is, by how many were made before."""
    steps: dict[int, list[tuple[str, str]]] = {}
    for text in asked.texts:
        for match in _STEP.finditer(text):
            steps.setdefault(int(match[1]), []).append((match[2], match[3]))
    made = len(asked.calls)
    for step in sorted(steps):
        if made <= 0:
            return _calls(steps[step], asked, number)
        made -= len(steps[step])
    return ()


def _calls(told: list[tuple[str, str]], asked: Asked, number: int) -> tuple[Call, ...]:
    return tuple(
        Call(f"call_{number}_{index}", name, json.loads(words), is_custom=name in asked.customs)
        for index, (name, words) in enumerate(told)
        if name in asked.tools
    )


def _words(asked: Asked) -> str:
    if asked.schema is not None:
        return json.dumps(_example(asked.schema))
    if asked.results:
        told = [" with ".join((each.text, *each.pictures)) for each in asked.results]
        return "they say: " + " and ".join(told)
    if asked.pictures:
        return "I see " + " and ".join(asked.pictures)
    return TEXT


def _example(schema: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Something of which the schema is true."""
    kind = schema["type"]
    match kind.lower() if isinstance(kind, str) else kind[0]:
        case "object":
            return {name: _example(of) for name, of in schema["properties"].items()}
        case "array":
            return [_example(schema["items"])]
        case "string":
            return schema.get("enum", ["Riga"])[0]
        case "boolean":
            return True
        case _:
            return 21
