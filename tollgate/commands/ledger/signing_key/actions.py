"""`tollgate ledger signing-key`: who signs the checkpoints, and how another key takes over."""

import argparse
import sys

from admin_api.desk import Desk
from admin_api.integrity.operations import read_keys
from ledger.errors import SigningRefused
from ledger.integrity.reading import read_introduced, read_last_sealed, read_origin
from ledger.integrity.sealing import introduce
from ledger.streams.seal import IntroduceKey
from tollgate.commands.at_the_desk import ACTOR, opened, perform
from tollgate.commands.contract import OK
from tollgate.commands.ledger.checkpoint import sealer_of
from tollgate.embedded.data_directory import DataDirectory
from tollgate.installation import at_desk


def list_keys(arguments: argparse.Namespace) -> int:
    print(perform(arguments, read_keys), end="")
    return OK


def rotate(arguments: argparse.Namespace) -> int:
    with opened(arguments) as installation:
        data = installation.settings.data
        verifier = at_desk(installation, lambda desk: _rotated(desk, data))
    print(verifier)
    print("give this key to everybody who verifies; the old one vouches for it", file=sys.stderr)
    return OK


async def _rotated(desk: Desk, data: DataDirectory) -> str:
    """The log learns of the new key before anything is signed with it, and both are sealed."""
    sealer = sealer_of(desk, data)
    await sealer.seal()
    new = await sealer.signer.prepare_rotation()
    command = IntroduceKey(new.verifier, "rotation", ACTOR, new.endorsement)
    await introduce(desk.ledger, command)
    await sealer.signer.rotate(new.verifier)
    await sealer.seal()
    return new.verifier


def introduce_own(arguments: argparse.Namespace) -> int:
    with opened(arguments) as installation:
        data = installation.settings.data
        verifier = at_desk(installation, lambda desk: _introduced(desk, data))
    print(verifier)
    print("no earlier key vouches for this one: give it to everybody who verifies", file=sys.stderr)
    return OK


async def _introduced(desk: Desk, data: DataDirectory) -> str:
    sealer = sealer_of(desk, data)
    async with desk.pool.connection() as connection:
        origin = await read_origin(connection)
        known = [event.verifier for _, event in await read_introduced(connection)]
        last = await read_last_sealed(connection)
    if origin is None:
        raise SigningRefused("the log is empty: there is nothing to sign yet")
    signer = await sealer.signer.last(origin)
    if signer.verifier in known:
        raise SigningRefused("the key of this node is one of this log's already")
    if last is not None and not signer.size:
        started = await sealer.signer.start_from(last.sealed.note, last.sealed.verifier)
        print(
            f"this signer begins with the checkpoint of {started.size} events and the root "
            f"{last.sealed.root}: compare it with a copy of your own",
            file=sys.stderr,
        )
    await introduce(desk.ledger, IntroduceKey(signer.verifier, "operator", ACTOR))
    await sealer.seal()
    return signer.verifier
