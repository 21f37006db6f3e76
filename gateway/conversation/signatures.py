"""Signatures of thoughts on their way through a format of another vendor, and back unharmed.

A client sends back what it was given, and its next call may reach the vendor that signed. So where
a format has a field for a signature of its own, a stranger's is put there under a name. A call of
a tool may be signed as well (Gemini's are); where a format has no field for that, the signature
stands within the call's id, which every client sends back.
"""

import base64
import binascii

_MARK = "tollgate-signed:"
SIGNED_CALL = "-tollgate-signed-"


def carried(signature: str, signed_by: str, format_name: str) -> str:
    """The signature as it stands in a field of `format_name`.

    >>> carried("abc", "gemini", "openai_responses")
    'tollgate-signed:gemini:abc'
    """
    return signature if signed_by in (format_name, "") else f"{_MARK}{signed_by}:{signature}"


def restored(told: str, format_name: str) -> tuple[str, str]:
    """The signature in a field of `format_name`, and the format_name of who signed it."""
    if not told.startswith(_MARK):
        return told, format_name if told else ""
    signed_by, _, signature = told.removeprefix(_MARK).partition(":")
    return signature, signed_by


def signed_call_id(call_id: str, signature: str) -> str:
    """A call's id as a client sees it, the signature within."""
    if not signature:
        return call_id
    encoded = base64.urlsafe_b64encode(signature.encode()).decode().rstrip("=")
    return call_id + SIGNED_CALL + encoded


def read_call_id(told: str) -> tuple[str, str]:
    """A call's id as it was given, and the signature within."""
    call_id, _, signed = told.partition(SIGNED_CALL)
    try:
        signature = base64.urlsafe_b64decode(signed + "=" * (-len(signed) % 4)).decode()
    except (binascii.Error, ValueError):
        return told, ""
    is_ours = signed_call_id(call_id, signature) == told
    return (call_id, signature) if is_ours else (told, "")
