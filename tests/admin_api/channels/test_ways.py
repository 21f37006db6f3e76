"""How a channel's provider is reached, over the desk's API; above all, what is never told."""

from pathlib import Path
from typing import Any

import pytest

from tests.admin_api.channels.test_channels import CHANNEL, UNSHAPED
from tests.admin_api.desks import OpenDesk, Servers, at_desk
from tests.scripted_servers import certificates, make_certificate

PROXY = "socks5h://us%3Aer:canary-pass@proxy.example.com"


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> str:
    return certificates(make_certificate(tmp_path_factory.mktemp("tls") / "both.pem")).strip()


def test_a_way_comes_back_without_who_may_pass(servers: Servers, pem: str) -> None:
    async def check(desk: OpenDesk) -> None:
        way = {
            "proxy": PROXY,
            "trusted_certificates": pem,
            "connect_timeout_ms": 1_500,
            "first_byte_timeout_ms": 20_000,
            "idle_timeout_ms": 30_000,
            "first_content_timeout_ms": 9_000,
        }
        answer = await desk.post("/channels", json={**CHANNEL, **way})
        assert answer.status_code == 201, answer.text
        shown = {
            **way,
            "proxy": "socks5://proxy.example.com:1080",
            "trusted_certificates": pem + "\n",
            "has_proxy_credentials": True,
        }
        assert shown.items() <= answer.json().items()
        path = f"/channels/{answer.json()['id']}"
        for told in (answer, await desk.get("/channels"), await desk.get(path)):
            assert "canary" not in told.text
        back = {name: UNSHAPED[name] for name in shown}
        nothing = {**back, "keys": ["k"]}
        del nothing["has_proxy_credentials"]
        changed = await desk.ask("PATCH", path, json=nothing)
        assert back.items() <= changed.json().items()

    at_desk(servers, check)


@pytest.mark.parametrize(
    ("change", "keeps"),
    [
        ({"proxy": "http://proxy:3128"}, {"https": True, "http": False}),
        ({"proxy": ""}, {"https": True, "http": False}),
        ({"proxy": "http://other:secret@old:1"}, {"https": True, "http": True}),
        ({"trusted_certificates": "PEM"}, {"https": False, "http": False}),
        ({"idle_timeout_ms": 1}, {"https": True, "http": True}),
    ],
)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_who_else_could_read_a_key_takes_it_away(
    servers: Servers, pem: str, change: dict[str, Any], keeps: dict[str, bool], scheme: str
) -> None:
    """A proxy that passes TLS on reads nothing; whoever is believed instead of the system's roots,
    or sees a connection without TLS, could.
    """

    async def check(desk: OpenDesk) -> None:
        base_url = f"{scheme}://api.example.com/v1"
        given = {**CHANNEL, "base_url": base_url, "proxy": "http://us:er@old:1"}
        added = (await desk.post("/channels", json=given)).json()
        path = f"/channels/{added['id']}"
        told = {name: pem if value == "PEM" else value for name, value in change.items()}
        changed = (await desk.ask("PATCH", path, json=told)).json()
        assert changed["keys"] == (added["keys"] if keeps[scheme] else [])
        again = (await desk.ask("PATCH", path, json={**told, "keys": ["new"]})).json()
        assert len(again["keys"]) == 1

    at_desk(servers, check)


@pytest.mark.parametrize(
    "wrong",
    [
        {"proxy": "ftp://canary:canary@proxy"},
        {"proxy": "http://canary:canary@proxy/path"},
        {"proxy": "canary"},
        {"trusted_certificates": "canary"},
        {"trusted_certificates": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
        {"trusted_certificates": "KEY"},
        {"connect_timeout_ms": -1},
        {"idle_timeout_ms": 10**10},
    ],
)
def test_what_is_no_way_is_refused_and_not_repeated(
    servers: Servers, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    async def check(desk: OpenDesk) -> None:
        given = dict(wrong)
        if given.get("trusted_certificates") == "KEY":
            given["trusted_certificates"] = make_certificate(tmp_path / "both.pem").read_text()
        answer = await desk.post("/channels", json={**CHANNEL, **given})
        assert answer.status_code == 422, answer.text
        assert next(iter(given)) in answer.text
        assert "canary" not in answer.text.replace("Canary", "")
        assert (await desk.get("/channels")).json() == {"channels": []}

    at_desk(servers, check)
