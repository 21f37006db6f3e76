"""Fresh secrets: API keys and operators' tokens. Shown once; only their SHA-256 is kept."""

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 48


def api_key() -> str:
    """A client's key: "sk-" and 48 characters, 285 random bits."""
    return "sk-" + _random()


def access_token() -> str:
    """An operator's token: "tg-" and 48 characters, 285 random bits."""
    return "tg-" + _random()


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
