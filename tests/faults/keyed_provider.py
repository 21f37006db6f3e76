"""A provider that answers each key with a script of its own."""

from dataclasses import dataclass, field

from tests.fake_provider import FakeProvider, Script


@dataclass
class KeyedProvider(FakeProvider):
    """Of OpenAI's kind."""

    of_key: dict[str, Script] = field(default_factory=dict)

    def named(self, path: str, body: bytes) -> Script:  # noqa: ARG002 - the key alone counts
        return self.of_key[self.received[-1].headers["authorization"].removeprefix("Bearer ")]

    def asked(self, keys: list[str]) -> list[int]:
        """How often each key was asked with."""
        sent = [one.headers["authorization"].removeprefix("Bearer ") for one in self.received]
        return [sent.count(key) for key in keys]
