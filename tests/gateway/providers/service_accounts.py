"""A service account of Google's, made for the tests, and a look at what it signs."""

import json
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

EMAIL = "tollgate@acme-project.iam.gserviceaccount.com"


@cache
def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def service_account(token_uri: str = "https://oauth2.googleapis.com/token") -> str:
    """Its JSON, as Google gives it, on one line."""
    pem = _private_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "acme-project",
            "private_key_id": "key-7",
            "private_key": pem.decode(),
            "client_email": EMAIL,
            "client_id": "1",
            "token_uri": token_uri,
        }
    )


def claim_of(form: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of the assertion in a form, its signature checked."""
    fields = parse_qs(form.decode())
    assert fields["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    (assertion,) = fields["assertion"]
    public = (
        _private_key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    header = jwt.decode_header(assertion)  # type: ignore[no-untyped-call]
    return header, dict(jwt.decode(assertion, public))  # type: ignore[no-untyped-call]
