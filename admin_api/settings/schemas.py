"""What is said of settings."""

from typing import Annotated, Self

from pydantic import Field

from admin_api.fields.bodies import Input, Output, ReasonCode
from admin_api.settings.operations import SettingView


class NewValue(Input):
    """What a setting shall be."""

    value: Annotated[str, Field(min_length=1, max_length=1_000)]
    reason: ReasonCode | None = None


class SettingOutput(Output):
    """A setting; `version` 0: nobody ever set it, and the value is what goes without saying."""

    name: str
    about: str
    value: str
    version: int

    @classmethod
    def of(cls, view: SettingView) -> Self:
        """As it is told."""
        return cls(name=view.name, about=view.about, value=view.value, version=view.version)


class SettingList(Output):
    """Every setting there is, by name."""

    settings: list[SettingOutput]
