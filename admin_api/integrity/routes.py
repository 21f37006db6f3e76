"""/ledger/checkpoint, /ledger/proof, ...: what anybody may check; /receipts: proof of one's own."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import PlainTextResponse

from admin_api.access.auth import PermitOrOwn, Public, TheDesk
from admin_api.access.permissions import Operator, Owner
from admin_api.http.strict_route import StrictRoute
from admin_api.integrity import operations
from admin_api.integrity.operations import POSITION_MAX

router = APIRouter(route_class=StrictRoute, tags=["integrity"])

ANYBODY = {"security": list[dict[str, list[str]]]()}
_A_FEW_SECONDS = {"cache-control": "public, max-age=5"}
_FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}

Size = Annotated[int, Query(ge=1, le=POSITION_MAX)]


class Octets(Response):
    """Bytes, described as such."""

    media_type = "application/octet-stream"


@router.get(
    "/ledger/checkpoint",
    response_class=PlainTextResponse,
    dependencies=[Depends(Public())],
    openapi_extra=ANYBODY,
)
async def read_checkpoint(desk: TheDesk) -> PlainTextResponse:
    """The newest signed checkpoint: https://c2sp.org/tlog-checkpoint."""
    return PlainTextResponse(await operations.read_checkpoint(desk), headers=_A_FEW_SECONDS)


@router.get(
    "/ledger/keys",
    response_class=PlainTextResponse,
    dependencies=[Depends(Public())],
    openapi_extra=ANYBODY,
)
async def read_keys(desk: TheDesk) -> PlainTextResponse:
    """The keys that sign checkpoints, as `tollgate verify --keys` takes them."""
    return PlainTextResponse(await operations.read_keys(desk), headers=_A_FEW_SECONDS)


@router.get(
    "/ledger/proof",
    response_class=PlainTextResponse,
    dependencies=[Depends(Public())],
    openapi_extra=ANYBODY,
)
async def read_proof(desk: TheDesk, position: Size, size: Size | None = None) -> PlainTextResponse:
    """That the event at a position is in the log: https://c2sp.org/tlog-proof@v1.

    `size` names an earlier checkpoint; without it the newest one is taken.
    """
    receipt = await operations.read_proof(desk, position, size)
    return PlainTextResponse(receipt.text(), headers=_A_FEW_SECONDS if size is None else _FOR_EVER)


@router.get(
    "/ledger/consistency",
    response_class=PlainTextResponse,
    dependencies=[Depends(Public())],
    openapi_extra=ANYBODY,
)
async def read_consistency(
    desk: TheDesk,
    old_size: Annotated[int, Query(alias="from", ge=1, le=POSITION_MAX)],
    new_size: Annotated[int, Query(alias="to", ge=1, le=POSITION_MAX)],
) -> PlainTextResponse:
    """That nothing was changed between two sizes of the log, as `tollgate verify` takes it."""
    proof = await operations.read_consistency(desk, old_size, new_size)
    return PlainTextResponse(proof.text(), headers=_FOR_EVER)


@router.get(
    "/ledger/tile/{level}/{path:path}",
    response_class=Octets,
    dependencies=[Depends(Public())],
    openapi_extra=ANYBODY,
)
async def read_tile(
    desk: TheDesk, level: Annotated[str, Path(max_length=2)], path: Annotated[str, Path()]
) -> Octets:
    """Hashes of the tree: https://c2sp.org/tlog-tiles. Events themselves are not served."""
    return Octets(await operations.read_tile(desk, level, path), headers=_FOR_EVER)


@router.get("/receipts/{reference}.tlog-proof", response_class=PlainTextResponse)
async def read_receipt(
    desk: TheDesk,
    caller: Annotated[Operator | Owner, Depends(PermitOrOwn("ledger:read"))],
    reference: Annotated[str, Path(max_length=60)],
) -> PlainTextResponse:
    """The proof of an event with the event in it: by position, or by the id of what it is about.

    An API key gets those of its own calls and its account; where the event names what is ours
    alone, the proof of its hash. `ID:VERSION` names one of several events of a request.
    """
    owner = caller if isinstance(caller, Owner) else None
    return PlainTextResponse((await operations.read_receipt(desk, reference, owner)).text())
