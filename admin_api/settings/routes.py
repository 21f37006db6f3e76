"""/settings: what holds for the whole installation."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from admin_api.access.auth import Permit, TheDesk
from admin_api.access.permissions import Operator
from admin_api.http.strict_route import StrictRoute
from admin_api.settings import operations
from admin_api.settings.schemas import NewValue, SettingList, SettingOutput

router = APIRouter(route_class=StrictRoute, tags=["settings"])


@router.get("/settings")
async def list_settings(
    desk: TheDesk, _operator: Annotated[Operator, Depends(Permit("settings:read"))]
) -> SettingList:
    """Every setting."""
    views = await operations.list_settings(desk)
    return SettingList(settings=[SettingOutput.of(view) for view in views])


@router.put("/settings/{name}")
async def change_setting(
    desk: TheDesk,
    operator: Annotated[Operator, Depends(Permit("settings:write"))],
    name: Annotated[str, Path(pattern=r"^[a-z][a-z0-9_.]{0,63}$")],
    given: NewValue,
) -> SettingOutput:
    """Change a setting."""
    changing = operations.change_setting(
        desk, name, value=given.value, actor=operator.actor, reason=given.reason or ""
    )
    return SettingOutput.of(await desk.commands.finish(changing))
