"""A resource of the desk is one folder and one line of its registry, and asks few others."""

import ast
import inspect
from collections import defaultdict
from pathlib import Path

from fastapi.routing import APIRoute

from admin_api.jobs.registry import KINDS
from admin_api.registry import RESOURCES

ROOT = Path(__file__).parents[2]
DESK = ROOT / "admin_api"
ROOMS = {"access", "fields", "http"}
"""What is no resource."""

ASKED = {
    "accounts": {"books"},  # a balance then
    # Approving a correction starts its job; a setting says who may approve.
    "adjustments": {"accounts", "corrections", "jobs", "settings"},
    "audit": {"adjustments", "credits", "prices"},  # the words that were written about them
    "books": {"accounts", "integrity", "jobs"},  # a check asks for the reasons as well
    "corrections": {"accounts", "adjustments", "books", "jobs", "prices"},
    "credits": {"accounts", "adjustments", "settings"},  # a large one is proposed
    "integrity": {"adjustments", "credits"},  # what a request's digest is of
    "jobs": {"books", "corrections"},  # the list of kinds
    "keys": {"accounts"},
    "oversight": {"adjustments", "settings"},
    "prices": {"channels", "corrections", "credits", "jobs"},  # a preview is a what-if
    "route_plans": {"channels", "prices"},  # their types, and how a price is told
    "totals": {"accounts"},
}
"""Which others a resource needs. Another arrow is to be thought about; none may be left over."""


def test_every_resource_is_registered_with_all_its_routes() -> None:
    folders = {path.parent.name for path in DESK.glob("*/__init__.py")}
    assert folders - ROOMS == set(RESOURCES)
    for name, routers in RESOURCES.items():
        files = {*DESK.glob(f"{name}/routes.py"), *DESK.glob(f"{name}/routes/*.py")}
        written = {str(path) for path in files if path.name != "__init__.py"}
        places = [
            {inspect.getfile(route.endpoint) for route in one.routes if isinstance(route, APIRoute)}
            for one in routers
        ]
        assert sorted(written) == sorted(path for each in places for path in each), name


def test_every_resource_has_its_tests_in_the_folder_of_its_name() -> None:
    folders = {path.parent.name for path in (ROOT / "tests/admin_api").glob("*/test_*.py")}
    assert folders == set(RESOURCES) | ROOMS


def test_every_kind_of_job_is_registered_under_its_own_name() -> None:
    files = [path.stem for path in DESK.glob("*/jobs/*.py") if path.name != "__init__.py"]
    assert sorted(files) == sorted(kind.name for kind in KINDS)


def test_a_resource_asks_no_others_than_it_must() -> None:
    asked: dict[str, set[str]] = defaultdict(set)
    for name in RESOURCES:
        for path in (DESK / name).rglob("*.py"):
            asked[name] |= _resources_imported_by(path) - {name}
    assert {name: others for name, others in asked.items() if others} == ASKED


def _resources_imported_by(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    modules = [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    ours = [module.split(".") for module in modules if module.startswith("admin_api.")]
    return {parts[1] for parts in ours} & set(RESOURCES)
