"""The desk as an application at /api/v1: routes, errors, and its own description.

The OpenAPI document is at /openapi.json below the mount; there are no pages that would load
scripts from elsewhere.
"""

from fastapi import FastAPI

from admin_api import document, problems
from admin_api.auth import ClientAddress, peer_address
from admin_api.desk import Desk
from admin_api.envelope import Envelope
from admin_api.routes.accounts import router as accounts
from admin_api.routes.adjustments import router as adjustments
from admin_api.routes.books import router as books
from admin_api.routes.channel_types import router as channel_types
from admin_api.routes.channels import router as channels
from admin_api.routes.configuration_as_of import router as configuration_as_of
from admin_api.routes.corrections import router as corrections
from admin_api.routes.costs import router as costs
from admin_api.routes.credits import router as credits_
from admin_api.routes.exports import router as exports
from admin_api.routes.groups import router as groups
from admin_api.routes.integrity import router as integrity
from admin_api.routes.jobs import router as jobs
from admin_api.routes.keys import router as keys
from admin_api.routes.ledger_events import router as ledger_events
from admin_api.routes.operators import router as operators
from admin_api.routes.price_books import router as price_books
from admin_api.routes.price_imports import router as price_imports
from admin_api.routes.prices import router as prices
from admin_api.routes.reconciliations import router as reconciliations
from admin_api.routes.replays import router as replays
from admin_api.routes.requests import router as requests

PREFIX = "/api/v1"
"""Where the application lives, whether it is mounted there or given whole paths."""

ROUTERS = (
    accounts,
    credits_,
    keys,
    channels,
    channel_types,
    prices,
    costs,
    price_books,
    price_imports,
    groups,
    requests,
    ledger_events,
    books,
    configuration_as_of,
    operators,
    jobs,
    replays,
    exports,
    reconciliations,
    adjustments,
    corrections,
    integrity,
)


def build_desk(desk: Desk, client_address: ClientAddress = peer_address) -> FastAPI:
    """The application. `client_address` knows which proxies are trusted."""
    app = FastAPI(
        title="Tollgate admin API",
        version="1",
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        servers=[{"url": PREFIX}],
        root_path_in_servers=False,
    )
    app.state.desk = desk
    app.state.client_address = client_address
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app)
    document.install(app)
    app.add_middleware(Envelope, prefix=PREFIX)
    return app
