"""Lets the library's test cases be imported without the second of its two AES packages."""

import sys

import eventsourcing.cryptography

# eventsourcing.tests.persistence imports AESCipher from the module that needs pycryptodome; the
# library has the same class on `cryptography`, which is installed. No recorder test encrypts.
sys.modules.setdefault("eventsourcing.cipher", eventsourcing.cryptography)
