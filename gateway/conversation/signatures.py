"""Signatures of thoughts on their way through a dialect of another vendor, and back unharmed.

A client sends back what it was given, and its next call may reach the vendor that signed. So where
a dialect has a field for a signature of its own, a stranger's is put there under a name.
"""

_MARK = "tollgate-signed:"


def carried(signature: str, signed_by: str, dialect: str) -> str:
    """The signature as it stands in a field of `dialect`.

    >>> carried("abc", "gemini", "openai_responses")
    'tollgate-signed:gemini:abc'
    """
    return signature if signed_by in (dialect, "") else f"{_MARK}{signed_by}:{signature}"


def restored(told: str, dialect: str) -> tuple[str, str]:
    """The signature in a field of `dialect`, and the dialect of who signed it."""
    if not told.startswith(_MARK):
        return told, dialect if told else ""
    signed_by, _, signature = told.removeprefix(_MARK).partition(":")
    return signature, signed_by
