"""`tollgate channel` and `tollgate route`: what a channel changes, its health, where calls go."""

from tests.fake_provider import FakeProvider, error, serving, whole
from tests.tollgate.test_cli import CANARY, Tool, channels_of, tool

__all__ = ["tool"]


def test_a_channel_is_given_overrides_by_files(tool: Tool) -> None:
    parameters = tool.folder.parent / "parameters.json"
    parameters.write_text('{"temperature": 0.5}')
    headers = tool.folder.parent / "headers.json"
    headers.write_text('{"X-Team": "canary-secret"}')
    tool.type("key\n")
    added = ("channel", "add", "O", "--type", "openai", "--keys", "--model", "a=b", "--model")
    tool.ok(
        *(*added, "b=c", "--follow-models", "--status-code", "404=503"),
        *("--parameter-overrides-file", str(parameters)),
        *("--header-overrides-file", str(headers)),
    )
    (view,) = channels_of(tool)
    overrides = view.state.route.overrides
    assert view.parameter_overrides == '{"temperature": 0.5}'
    assert overrides.header_names == ("X-Team",)
    assert overrides.statuses == {"404": 503}
    assert view.state.route.models == {"a": "c", "b": "c"}
    assert "canary" not in tool.said + repr(view)

    parameters.write_text('{"model": "x"}')
    tool.type("key\n")
    wrong = ("channel", "add", "W", "--type", "openai", "--keys", "--model", "m")
    assert tool.run(*wrong, "--parameter-overrides-file", str(parameters)) == 2
    assert "what is sold" in tool.complained
    assert tool.run(*wrong, "--status-code", "404=gone") == 2
    assert "as in 404=503" in tool.complained


def test_a_channels_health_is_listed_and_mended(tool: Tool) -> None:
    tool.furnish()
    (view,) = channels_of(tool)
    channel_id = str(view.channel_id)
    heads = ["MODEL", "STATE", "REASON", "TIMES", "UNTIL"]
    assert tool.ok("channel", "health", channel_id).split() == heads
    assert tool.ok("channel", "close-breakers", channel_id).split() == heads
    assert tool.run("channel", "health", "00000000-0000-0000-0000-000000000001") == 1
    assert "no such channel" in tool.complained


def test_a_channel_is_asked_and_its_vendors_list_taken_over(tool: Tool) -> None:
    with serving(FakeProvider()) as provider:
        provider.scripts["fine"] = whole()
        account = tool.ok("account", "add", "Ada")
        tool.ok("price", "set", "m", "input=1", "output=2")
        tool.type(f"{CANARY}\n")
        added = ("channel", "add", "C", "--type", "openai", "--keys", "--model", "m")
        channel_id = tool.ok(*added, "--base-url", provider.base_url())
        told = tool.ok("channel", "test", channel_id, "m")
        assert CANARY not in told
        assert "> authorization: ***" in told
        assert "a fine answer" in told
        assert told.splitlines()[-1].startswith("answered; ")
        assert "Probes of channels' keys" in tool.ok("account", "list")
        provider.scripts["fine"] = whole(error("no"), status=503)
        assert tool.run("channel", "test", channel_id, "m") == 1
        assert "failed: " in tool.said
        assert tool.run("channel", "test", channel_id, "n") == 2
        provider.scripts["fine"] = whole({"data": [{"id": "m"}, {"id": "x"}]})
        listed = tool.ok("channel", "models", channel_id).splitlines()
        assert [line.split() for line in listed] == [["asked", "for", "m"], ["new", "x"]]
        listed = tool.ok("channel", "models", channel_id, "--add", "x", "--drop", "m").splitlines()
        assert listed[0].split() == ["new", "m"]
        assert listed[-1] == "no price   x: served to nobody"
        assert account


def test_a_route_is_told_for_an_account_and_for_a_key(tool: Tool) -> None:
    account = tool.furnish()
    told = tool.ok("route", account, "gpt-x")
    assert told.splitlines()[0] == "gpt-x in the group default: price version 1, times 1"
    assert "100.0%" in told
    assert "provider-x" in told
    assert "usable, first 100%" in told
    key = tool.ok("key", "list", account).splitlines()[1].split()[0]
    assert tool.ok("route", key, "gpt-x") == told
    assert "refused before any channel is asked: model_not_allowed" in tool.ok(
        "route", key, "other"
    )
    (view,) = channels_of(tool)
    tool.ok("channel", "pause", str(view.channel_id))
    told = tool.ok("route", account, "gpt-x")
    assert "model_not_found" in told
    assert "paused" in told
    assert tool.run("route", "00000000-0000-0000-0000-000000000001", "m") == 1
