"""Signed notes with Ed25519 (https://c2sp.org/signed-note): a text and the lines that sign it.

    text, ending in a newline
    (an empty line)
    — <key name> base64(key id, signature)

A verifier key is `<key name>+<key id in hex>+<base64(0x01, public key)>`; the key id is the first
four bytes of SHA-256(key name, newline, 0x01, public key).
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

SEED_BYTES = 32
NOTE_BYTES_MAX = 64 * 1024
_ED25519 = b"\x01"
_DASH = "\N{EM DASH} "
_SIGNATURES_MAX = 64
_ID_BYTES, _SIGNATURE_BYTES, _PUBLIC_BYTES = 4, 64, 32


class MalformedNote(Exception):
    """Not a signed note, or not a verifier key."""


class NoteRefused(Exception):
    """No key that is trusted has signed this note, or a trusted key's signature is wrong."""


class Signature(NamedTuple):
    """A signature line: whose it claims to be, and what comes after the key id."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text with its signatures; nobody has verified them."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name and a public key."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that name this key in a signature line."""
        return hashlib.sha256(f"{self.name}\n".encode() + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        """As in a policy file."""
        return f"{self.name}+{self.key_id.hex()}+{encode64(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key of its text form. Raises MalformedNote."""
        parts = text.split("+", 2)
        if len(parts) != 3 or not _is_name(parts[0]):
            raise MalformedNote("not a verifier key: it has the form name+id+key")
        material = decode64(parts[2])
        if len(material) != 1 + _PUBLIC_BYTES or material[:1] != _ED25519:
            raise MalformedNote("not a verifier key of Ed25519")
        key = cls(parts[0], material[1:])
        if parts[1] != key.key_id.hex():
            raise MalformedNote("a verifier key whose id is not that of its key")
        return key


class SigningKey:
    """A name and a private key; it shows in no text of it."""

    def __init__(self, name: str, seed: bytes) -> None:
        if not _is_name(name):
            raise MalformedNote("a key's name has neither spaces nor a plus sign")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = VerifierKey(name, self._private.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The note of a text, with the one signature of this key."""
        _require_text(text)
        signature = self.verifier.key_id + self._private.sign(text.encode())
        return f"{text}\n{_DASH}{self.verifier.name} {encode64(signature)}\n"


def parse_note(note: str) -> Note:
    """The text and the signatures of a note. Raises MalformedNote."""
    if len(note.encode(errors="replace")) > NOTE_BYTES_MAX:
        raise MalformedNote(f"a note has at most {NOTE_BYTES_MAX} bytes here")
    text, separator, lines = note.rpartition("\n\n")
    text += "\n"
    _require_text(text)
    if not separator or not lines.endswith("\n"):
        raise MalformedNote("not a signed note: no signatures after an empty line")
    signatures = tuple(map(_signature, lines[:-1].split("\n")))
    if len(signatures) > _SIGNATURES_MAX:
        raise MalformedNote("too many signatures")
    return Note(text, signatures)


def verify_note(note: Note, trusted: Iterable[VerifierKey]) -> VerifierKey:
    """The trusted key that signed; signatures of unknown keys are ignored.

    Raises NoteRefused where there is none, or where one of them did not sign this text.
    """
    keys = {(key.name, key.key_id): key for key in trusted}
    signed_by: VerifierKey | None = None
    for one in note.signatures:
        key = keys.get((one.name, one.key_id))
        if key is None:
            continue
        if len(one.signature) != _SIGNATURE_BYTES:
            raise NoteRefused(f"the signature of {key.name} is not one of Ed25519")
        try:
            public = Ed25519PublicKey.from_public_bytes(key.public)
            public.verify(one.signature, note.text.encode())
        except (InvalidSignature, ValueError) as error:
            raise NoteRefused(f"the signature of {key.name} is wrong") from error
        signed_by = signed_by or key
    if signed_by is None:
        raise NoteRefused("no trusted key has signed it")
    return signed_by


def read_keys(text: str) -> list[VerifierKey]:
    """The keys of a policy file: one a line; empty lines and lines that begin with # are not.

    Raises MalformedNote.
    """
    lines = [line.strip() for line in text.splitlines()]
    return [VerifierKey.parse(line) for line in lines if line and not line.startswith("#")]


def encode64(content: bytes) -> str:
    """Base64 as in RFC 4648, section 4."""
    return base64.b64encode(content).decode()


def decode64(text: str) -> bytes:
    """The bytes of canonical base64. Raises MalformedNote."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedNote("not base64") from error
    if encode64(content) != text:
        raise MalformedNote("not canonical base64")
    return content


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _is_name(name):
        raise MalformedNote("not a signature line")
    content = decode64(encoded)
    if len(content) <= _ID_BYTES:
        raise MalformedNote("a signature line without a signature")
    return Signature(name, content[:_ID_BYTES], content[_ID_BYTES:])


def _require_text(text: str) -> None:
    if not text.endswith("\n") or text == "\n":
        raise MalformedNote("a note's text ends in a newline")
    if re.search(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]", text):
        raise MalformedNote("a note has no control characters")


def _is_name(name: str) -> bool:
    return bool(name) and not any(each == "+" or each.isspace() for each in name)
