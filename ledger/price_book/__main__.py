"""`python -m ledger.price_book`: the catalogue as JSON, for `ledger.price_book.catalogue.load`."""

import sys

import msgspec

from ledger.price_book.catalogue import convert

sys.stdout.buffer.write(msgspec.json.encode(convert()))
