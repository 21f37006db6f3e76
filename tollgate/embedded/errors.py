"""The one way in which starting on a machine can be refused."""


class StartRefused(Exception):
    """The machine or the data directory does not allow the start; carries what to do about it.

    `str()` gives `message: remedy` on one line, whatever either of them contains.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return " ".join(f"{self.message}: {self.remedy}".split())
