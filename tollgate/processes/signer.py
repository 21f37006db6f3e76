"""The signer's process: holds the key that signs checkpoints of the log, and nothing else.

It is told no address of a server and no secret, and answers on a socket that its own user may use.
What it refuses and why is in `ledger/integrity/signer.py`.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from ledger.errors import SigningRefused
from ledger.integrity.signer import open_signer
from ledger.integrity.signing import Ask, Said, answer, serve_signer
from tollgate import log as log_lines
from tollgate.processes import assignment

log = structlog.get_logger()


def main() -> int:
    """Answer until asked to stop; 0 then."""
    given = assignment.receive(sys.argv)
    log_lines.configure(process=given.name)
    with contextlib.ExitStack() as stack:
        try:
            signer = stack.enter_context(open_signer(Path(given.signer_folder)))
        except SigningRefused as refusal:
            log.error("signer.refused", reason=str(refusal), consequence="nothing is sealed")
            said: Callable[[Ask], Said] = _refusing(str(refusal))
        else:

            def said(question: Ask) -> Said:
                return answer(signer, question)

        asyncio.run(_serve(said, Path(given.signer_socket)))
    return 0


async def _serve(said: Callable[[Ask], Said], socket: Path) -> None:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    server = await serve_signer(said, socket)
    await asked.wait()
    server.close()
    socket.unlink(missing_ok=True)  # noqa: ASYNC240 - nothing else happens any more


def _refusing(reason: str) -> Callable[[Ask], Said]:
    return lambda _question: Said(refusal=reason)


if __name__ == "__main__":
    sys.exit(main())
