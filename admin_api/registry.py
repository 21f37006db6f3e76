"""The list of the desk's resources: the only place that names them all.

Each is a folder: `routes` are what can be asked of it, `schemas` the bodies that go in and out,
`operations` what is done, for REST and the command line alike. Where one file of them would be too
long, it is a folder of the same name. `jobs` are its work that takes longer than a request.
"""

from collections.abc import Mapping

from fastapi import APIRouter

from admin_api.accounts import routes as accounts
from admin_api.adjustments import routes as adjustments
from admin_api.alarms import routes as alarms
from admin_api.audit import routes as audit
from admin_api.books.routes import books, exports, replays, statements
from admin_api.channels import routes as channels
from admin_api.configuration import routes as configuration
from admin_api.corrections import routes as corrections
from admin_api.credits import routes as credits_
from admin_api.groups import routes as groups
from admin_api.http.envelope import BodySizes
from admin_api.integrity import routes as integrity
from admin_api.jobs import routes as jobs
from admin_api.keys import routes as keys
from admin_api.ledger_events import routes as ledger_events
from admin_api.operators import routes as operators
from admin_api.oversight import routes as oversight
from admin_api.prices.routes import books as price_books
from admin_api.prices.routes import costs, prices
from admin_api.prices.routes import imports as price_imports
from admin_api.reconciliation import routes as reconciliation
from admin_api.requests import routes as requests
from admin_api.route_plans import routes as route_plans
from admin_api.settings import routes as settings
from admin_api.totals import routes as totals
from admin_api.usage import routes as usage

RESOURCES: Mapping[str, tuple[APIRouter, ...]] = {
    "accounts": (accounts.router,),
    "credits": (credits_.router,),
    "keys": (keys.router,),
    "channels": (channels.router,),
    "route_plans": (route_plans.router,),
    "prices": (prices.router, costs.router, price_books.router, price_imports.router),
    "groups": (groups.router,),
    "requests": (requests.router,),
    "totals": (totals.router,),
    "usage": (usage.router,),
    "audit": (audit.router,),
    "oversight": (oversight.router,),
    "alarms": (alarms.router,),
    "ledger_events": (ledger_events.router,),
    "books": (statements.router, books.router, replays.router, exports.router),
    "configuration": (configuration.router,),
    "operators": (operators.router,),
    "settings": (settings.router,),
    "jobs": (jobs.router,),
    "reconciliation": (reconciliation.router,),
    "adjustments": (adjustments.router,),
    "corrections": (corrections.router,),
    "integrity": (integrity.router,),
}
"""The routers of each resource, by the name of its folder."""

LARGER_BODIES: BodySizes = reconciliation.LARGER_BODIES
"""Routes that take files, and how many bytes those may have."""
