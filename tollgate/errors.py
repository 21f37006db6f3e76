"""What ends a command without any fault of the books."""


class CannotReach(Exception):
    """A server this installation needs does not answer."""

    def __init__(self, what: str, reason: str, remedy: str) -> None:
        super().__init__(" ".join(f"{what} cannot be reached ({reason}): {remedy}".split()))
