"""A model that does what it is told: `CALL name {arguments}` calls a tool, and so on."""

import json
import re
from typing import Any

from tests.obedient.contract import Asked, Call, Figures, Said

TEXT = "a fine answer"
THOUGHT = "let me see"
LOOKING = "I look"

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
    if asked.results:
        return ()
    if asked.must_call:
        name = asked.forced or next(iter(asked.tools))
        return (Call(f"call_{number}_0", name, _example(asked.tools[name])),)
    told = [match for text in asked.texts for match in _CALL.finditer(text)]
    return tuple(
        Call(
            f"call_{number}_{index}",
            match[1],
            json.loads(match[2]),
            is_custom=match[1] in asked.customs,
        )
        for index, match in enumerate(told)
        if match[1] in asked.tools
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
