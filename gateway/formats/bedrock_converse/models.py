"""What a model takes, told from its name: a request is refused as a whole for one word too many.

Sources: https://docs.aws.amazon.com/bedrock/latest/userguide/{conversation-inference-supported-
models-features,model-parameters,prompt-caching,structured-output}.html,
https://docs.aws.amazon.com/nova/latest/{userguide/getting-started-schema,nova2-userguide/
extended-thinking}.html; what of tools the API refuses for which models is in its own reference
(ToolChoice, ToolResultBlock).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Thinking = Literal["never", "always", "by_config", "by_effort"]


@dataclass(frozen=True, slots=True)
class Traits:
    """`more`: where among the model's own fields a way of drawing tokens stands, by the name of
    `gateway.conversation.request.Sampling`.

    `forces_any`, `forces_one`: whether a call of some tool, or of one that is named, can be
    demanded. `shows_results`: whether results of tools may hold images and say that they failed.
    """

    thinking: Thinking = "never"
    more: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    forces_any: bool = True
    forces_one: bool = False
    shows_results: bool = False
    caches: bool = False
    caches_tools: bool = False
    caches_for_an_hour: bool = False
    cites: bool = False
    has_structured_output: bool = True


_NOVA = Traits(
    more={"top_k": ("inferenceConfig", "topK")},
    forces_one=True,
    shows_results=True,
    caches=True,
    has_structured_output=False,
)
_NOVA_2 = Traits(
    thinking="by_config",
    more=_NOVA.more,
    forces_one=True,
    shows_results=True,
    caches=True,
    has_structured_output=False,
)
_PENALTIES = {
    "frequency_penalty": ("frequency_penalty",),
    "presence_penalty": ("presence_penalty",),
}
_PLAIN = Traits(forces_any=False, has_structured_output=False)

# By the beginning of the vendor's own name for the model; the first that fits counts.
_BY_NAME: tuple[tuple[str, Traits], ...] = (
    ("amazon.nova-2", _NOVA_2),
    ("amazon.nova", _NOVA),
    (
        "anthropic.claude",
        Traits(
            more={"top_k": ("top_k",)},
            forces_one=True,
            shows_results=True,
            caches=True,
            caches_tools=True,
            caches_for_an_hour=True,
            cites=True,
        ),
    ),
    (
        "cohere.command",
        Traits(
            more={"top_k": ("k",), "seed": ("seed",), **_PENALTIES},
            forces_any=False,
            has_structured_output=False,
        ),
    ),
    ("ai21.", Traits(more=_PENALTIES, forces_any=False, has_structured_output=False)),
    ("deepseek.r1", Traits(thinking="always", forces_any=False, has_structured_output=False)),
    ("deepseek.", Traits(thinking="by_effort")),
    ("amazon.", _PLAIN),
    ("meta.", _PLAIN),
    ("writer.", _PLAIN),
)


def traits_of(model: str) -> Traits:
    """What `model` takes, by its id, that of a profile, or the name of a resource. Of one that is
    not known, everything that does not belong to single vendors: the provider says what is wrong.
    """
    own = model.rpartition("/")[2]
    # Behind the geography of a profile, if there is one.
    names = (own, own.partition(".")[2])
    return next(
        (traits for start, traits in _BY_NAME if any(name.startswith(start) for name in names)),
        Traits(),
    )
