"""The desk as an application at /api/v1: routes, errors, and its own description.

The OpenAPI document is at /openapi.json below the mount; there are no pages that would load
scripts from elsewhere.
"""

from functools import partial

from fastapi import FastAPI

from admin_api.access.auth import ClientAddress, is_somebody, peer_address
from admin_api.desk import Desk
from admin_api.http import document, problems
from admin_api.http.envelope import Envelope
from admin_api.registry import LARGER_BODIES, RESOURCES

PREFIX = "/api/v1"
"""Where the application lives, whether it is mounted there or given whole paths."""


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
    for routers in RESOURCES.values():
        for router in routers:
            app.include_router(router)
    problems.install(app)
    document.install(app)
    app.add_middleware(
        Envelope,
        prefix=PREFIX,
        larger_bodies=LARGER_BODIES,
        is_somebody=partial(is_somebody, desk, client_address),
    )
    return app
