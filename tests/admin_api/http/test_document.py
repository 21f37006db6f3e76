"""The OpenAPI document: true, complete, and without a field that could carry a secret."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Err
from schemathesis.specs.openapi import checks

from admin_api.http.application import PREFIX
from tests.admin_api.channels.test_channels import CANARY, CHANNEL
from tests.admin_api.desks import ROOT_TOKEN, OpenDesk, Servers, at_desk, open_desk

SHOWN_ONCE = {
    "FreshToken": {"token"},
    "IssuedKeyOutput": {"key"},
    "NewOperatorOutput": {"token"},
}
PUBLIC = r"/ledger/(checkpoint|keys|proof|consistency|tile/.*)$"
SECRET = re.compile(r"(sk|tg)-[A-Za-z0-9_-]{20,}")
ANSWERS: Mapping[str, str] = {
    "AccountOutput": "group id is_suspended limits name opened_at",
    "AccountPage": "accounts next",
    "AccountTotalsOutput": (
        "adjusted available charged credited credits group held id is_suspended name position "
        "posted refunds requests"
    ),
    "AccountTotalsPage": "accounts next position",
    "KeyTotalsOutput": "account_id held id is_revoked last_used_at name refunds requests spent",
    "KeyTotalsPage": "keys next position",
    "ActOutput": (
        "account_id actor actor_name actor_role position reason recorded_at stream type version "
        "words"
    ),
    "ActPage": "acts next position",
    "AdjustmentOutput": "delta position reason",
    "AlarmOutput": (
        "account_id amount channel_id kind meaning model position recorded_at request_id"
    ),
    "AlarmPage": "alarms next position",
    "AttemptOutput": "channel_id cost duration_ms outcome status ttft_ms usage",
    "ChannelList": "channels",
    "ClosedRequest": (
        "account_id adjusted anomaly basis cached_tokens channel_id charged closed_at cost "
        "duration_ms ending group id key_id model output_tokens position prompt_tokens reason "
        "shortfall status tries ttft_ms upstream_model"
    ),
    "ClosedRequestPage": "next position requests",
    "ChannelOutput": (
        "base_url connect_timeout_ms first_byte_timeout_ms first_content_timeout_ms force_format "
        "groups has_parameter_overrides has_proxy_credentials has_system_prompt "
        "header_override_names id idle_timeout_ms is_paused keeps_suffix key_choice keys models "
        "name parameter_overrides priority proxy settings status_codes system_prompt "
        "system_prompt_leads thinking_to_content trusted_certificates type weight"
    ),
    "SimulatedRoute": ("channels group is_shared model multiplier price refusal sold_as"),
    "PlannedChannelOutput": (
        "breaker id keys name open_until priority probability upstream_model weight why_not"
    ),
    "PlannedKeyOutput": "cooling_until id probability reason state",
    "AnsweredQuestionOutput": "cost duration_ms error exchange finding usage",
    "ProviderExchangeOutput": (
        "answer_body answer_headers method request_body request_headers status url"
    ),
    "OfferedModelsOutput": "gone new offered unpriced",
    "ChannelHealth": "breakers is_shared",
    "BreakerOutput": "failures model open_until reason state",
    "ProviderKeyDetails": "answered_at cooling_models cooling_until id reason since state",
    "ProviderKeyList": "keys",
    "ChannelSettingOutput": "default description is_required name pattern",
    "ChannelTypeList": "channel_types",
    "ChannelTypeOutput": "base_url formats is_whole_url key_format name needs_key settings",
    "CreditOutput": "adjustment position",
    "OversightOutput": (
        "alone_up_to approvals concessions credits one_operator position repeated_credits settings "
        "shared_approvals"
    ),
    "ConcessionOutput": (
        "account actor after before group member position reason recorded_at what"
    ),
    "RepeatedCreditsOutput": (
        "account actor alone_up_to amount count day first_position last_position"
    ),
    "SharedApprovalOutput": (
        "adjustment amount approved_by kind maker position proposed_by recorded_at"
    ),
    "LargeCreditOutput": "account actor adjustment alone_up_to amount position recorded_at source",
    "CloseApprovalOutput": (
        "adjustment amount approved_by kind position proposed_by recorded_at why"
    ),
    "SettingChangeOutput": "actor name position reason recorded_at value",
    "EventOutput": "data position recorded_at stream type version",
    "EventPageOutput": "events head next",
    "GroupList": "groups",
    "CatalogueEntryOutput": (
        "changes_at model name not_expressed price provenance provider refusal"
    ),
    "CataloguePage": "found models next providers source",
    "ChangeOutput": "above_tokens after before kind percent service",
    "ComparedOutput": "actor after before changes model outcome",
    "FindingOutput": "message name option",
    "GroupOutput": "for_members multiplier name version",
    "ImportOutput": "for_members ignored is_done models multipliers notes problems",
    "ImportedPriceOutput": (
        "audio_in audio_out cache_read cache_write_1h cache_write_5m code_execution "
        "file_search image_in image_out input long_context output per_call reasoning services "
        "web_search"
    ),
    "IssuedKeyOutput": "id key",
    "KeyList": "keys",
    "KeyOutput": (
        "account_id allowed_ips expires_at group id last_four limit models name names_channels"
        " prefix status used"
    ),
    "JobAccepted": "job",
    "JobFileOutput": "content_type digest name size_bytes",
    "JobOutput": (
        "actor attempts created_at done error files finished_at id is_cancel_requested kind note "
        "per_second result seconds_left started_at state total unit"
    ),
    "JobPage": "jobs next",
    "LineOutput": "base kind per_units price units",
    "LongContextOutput": (
        "above_tokens audio_in audio_out cache_read cache_write_1h cache_write_5m "
        "code_execution file_search image_in image_out input output per_call reasoning "
        "web_search"
    ),
    "ModelMappingOutput": "client upstream",
    "FreshToken": "token",
    "LimitsOutput": "day month overdraft week",
    "NewOperatorOutput": "id token",
    "OperatorList": "operators",
    "OperatorOutput": "id is_disabled is_erased name role tokens",
    "SettingList": "settings",
    "SettingOutput": "about name value version",
    "PastPrice": (
        "actor audio_in audio_out cache_read cache_write_1h cache_write_5m code_execution "
        "effective_from file_search image_in image_out input long_context model output "
        "per_call provenance reason reasoning recorded_at services version web_search"
    ),
    "PlannedOutput": (
        "changes effective_from message model not_expressed outcome price provenance version"
    ),
    "PriceBookDiff": "added changed models unchanged",
    "PriceBookList": "books",
    "PriceBookOutput": "channel_id kind models name newest_actor newest_from versions",
    "PriceHistoryOutput": "current history model",
    "PriceList": "prices",
    "PriceOutput": (
        "audio_in audio_out cache_read cache_write_1h cache_write_5m code_execution "
        "effective_from file_search image_in image_out input long_context model output "
        "per_call provenance reasoning services version web_search"
    ),
    "PriceVersion": "version",
    "PublicationOutput": "prices",
    "PublishedPrice": "effective_from model version",
    "RatioBookOutput": "lost options",
    "ScheduleOutput": (
        "audio_in audio_out cache_read cache_write_1h cache_write_5m code_execution "
        "file_search image_in image_out input long_context output per_call reasoning "
        "web_search"
    ),
    "ProviderKeyOutput": "id state",
    "CaptureOutput": "ours rate ratio theirs",
    "LeftOutput": "amount tokens",
    "ReconciledDayOutput": (
        "amount day estimated_requests failed_attempts recorded requests tokens uncosted_requests"
    ),
    "ReconciledLineOutput": (
        "day difference_amount difference_units model number our_amount our_units outcome "
        "their_amount their_models their_units unit"
    ),
    "ReconciliationLinesOutput": "lines next reconciliation",
    "ReconciliationOutput": (
        "actor agrees as_of as_of_position channels digest first_day format id last_day lines "
        "made_at models size_bytes summary tolerance_bp tolerance_usd"
    ),
    "ReconciliationPage": "next reconciliations",
    "SummaryOutput": (
        "amount days differences not_compared notes outcomes outside outside_rows recorded "
        "requests residue rounding suggestions tokens"
    ),
    "RequestOutput": (
        "account_id adjustments admitted_at anomaly attempts basis channel_id "
        "charged closed_at cost dialect duration_ms ending group held http_status "
        "id key_id lines model multiplier positions price_version reason "
        "refused_at shortfall status streaming ttft_ms upstream_model usage"
    ),
    "AsOfOutput": "beyond_head end_of_day head position recorded_at",
    "EndOfDayOutput": "day moment time_zone",
    "BalanceAtOutput": "available held open_charges position posted recorded_at",
    "BalanceOutput": "as_of available held position posted",
    "ChannelAsOfOutput": (
        "as_of base_url changed_at groups id is_paused is_removed models priority type "
        "unusable_keys usable_keys version weight"
    ),
    "GroupThen": "changed_at multiplier name version",
    "JournalDayOutput": "accounts after day until",
    "JournalOutput": "days head",
    "LedgerTotalOutput": "account credits debits net postings",
    "LongContextThen": "above_tokens rates",
    "PriceAsOfOutput": "as_of book in_force model moment versions",
    "PriceThen": "actor effective_from long_context rates services version",
    "ProfitLineOutput": (
        "adjusted adjustments calls charged cost costed_calls day name profit revenue shortfall"
    ),
    "ProfitOutput": "lines position total",
    "ProfitSums": "adjusted adjustments calls charged cost costed_calls profit revenue shortfall",
    "ScheduleThen": "long_context rates",
    "SettingThen": "changed_at name value version",
    "SettingsAsOfOutput": "as_of groups settings",
    "UsageLineOutput": (
        "account_id adjusted adjustments begins_at channel_id charged cost costed_requests "
        "ends_at group key_id model refunds requests shortfall spent usage"
    ),
    "UsageOutput": "lines position time_zone",
    "StatementLineOutput": (
        "amount balance detail key_id kind model position recorded_at reference"
    ),
    "StatementOutput": "account_id as_of closing lines next opening since totals until",
    "StatementSummaryOutput": (
        "account_id as_of_position by closing opening rows since totals until"
    ),
    "SummaryRowOutput": "balance change label totals",
    "StatementTotals": "adjusted adjustments charged charges credited credits",
    "TrialBalanceOutput": "accounts as_of",
    "AdjustedAccountOutput": "account amount charged charges position",
    "AdjustedAccountPage": "accounts next",
    "AdjustmentDetails": (
        "account amount code correction decided_at decided_by decided_position id job kind "
        "position posted_at posted_position proposed_at proposed_by reason rejection "
        "reversed_position reverses state"
    ),
    "CorrectionOutput": (
        "accounts accounts_asked after as_of before book charges difference digest direction first "
        "groups_changed last models_asked models_priced posted_accounts posted_charges "
        "posted_difference prices_as_of"
    ),
    "LedgerAdjustment": (
        "account amount code correction decided_at decided_by decided_position id kind position "
        "posted_at posted_position proposed_at proposed_by reversed_position reverses state"
    ),
    "LedgerAdjustmentPage": "adjustments next",
    "ProposedOutput": "id position",
}
"""Every schema in a successful answer, and its fields: a new one is a decision."""


def test_it_is_openapi_3_1_and_public(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        answer = await desk.get("/openapi.json", token=None)
        document = answer.json()
        assert document["openapi"].startswith("3.1")
        assert document["servers"] == [{"url": PREFIX}]
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                is_public = re.match(PUBLIC, path) is not None
                expected: list[dict[str, list[str]]] = [] if is_public else [{"token": []}]
                assert operation["security"] == expected, (method, path)
                problem = operation["responses"]["4XX"]["content"]
                assert set(problem) == {"application/problem+json"}

    at_desk(servers, check)


def test_answers_have_exactly_the_fields_that_were_agreed(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        document = (await desk.get("/openapi.json")).json()
        schemas = document["components"]["schemas"]
        told = {
            name: sorted(schema["properties"])
            for name, schema in schemas.items()
            if name in _in_answers(document)
        }
        assert told == {name: fields.split() for name, fields in ANSWERS.items()}
        suspicious = {
            (name, field)
            for name, fields in told.items()
            for field in fields
            if re.fullmatch(r"(?!needs_)(.*_)?(key|token|secret|sha256|password|hash)", field)
        }
        once = {(name, field) for name, fields in SHOWN_ONCE.items() for field in fields}
        assert suspicious == once

    at_desk(servers, check)


def test_no_answer_after_the_first_holds_a_secret(servers: Servers) -> None:
    async def check(desk: OpenDesk) -> None:
        account_id = await desk.account()
        key_id, _ = await desk.key(account_id)
        await desk.operator("auditor")
        await desk.credit(account_id, "1")
        call_id = await desk.settled_call(account_id, key_id)
        added = await desk.post("/channels", json=CHANNEL)
        channel = f"/channels/{added.json()['id']}"
        answers: list[httpx2.Response] = [
            added,
            await desk.ask("PATCH", channel, json={"keys": [CANARY]}),
            await desk.ask("PATCH", f"/keys/{key_id}", json={"limit": "1"}),
        ]
        for path in (
            channel,
            "/channels",
            "/accounts",
            f"/accounts/{account_id}/keys",
            f"/requests/{call_id}",
            "/ledger/events?limit=1000",
        ):
            answers.append(await desk.get(path))  # noqa: PERF401 - one after the other
        for answer in answers:
            assert answer.status_code in (200, 201)
            assert SECRET.search(answer.text) is None, answer.request.url
            assert "canary" not in answer.text

    at_desk(servers, check)


def test_the_desk_keeps_to_its_document(servers: Servers) -> None:
    """Schemathesis, in a short form: requests made from the document, answers judged by it."""
    told = (
        _no_bug,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
        checks.ignored_auth,
    )
    with _served(servers) as url:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        for found in schema.get_all_operations():
            assert not isinstance(found, Err), found
            operation = found.ok()

            @settings(
                max_examples=8,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
                database=None,
            )
            @given(case=operation.as_strategy())
            def judge(case: Any) -> None:  # noqa: ANN401 - schemathesis' Case
                headers = {"Authorization": f"Bearer {ROOT_TOKEN}"}
                case.call_and_validate(headers=headers, checks=told)

            judge()


def _no_bug(context: Any, response: Any, case: Any) -> None:  # noqa: ANN401, ARG001 - its types
    """A 503 is lawful: it comes when a position is asked for that does not exist yet."""
    assert response.status_code in (503, *range(200, 500))


@contextlib.contextmanager
def _served(servers: Servers) -> Iterator[str]:
    """The desk behind a real server on a port of its own, on an event loop of its own."""
    ready, ended = threading.Event(), threading.Event()
    address: list[str] = []

    async def serve() -> None:
        async with open_desk(servers) as desk:
            config = uvicorn.Config(desk.app, port=0, log_level="error", lifespan="off")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            host, port = server.servers[0].sockets[0].getsockname()
            address.append(f"http://{host}:{port}{PREFIX}")
            ready.set()
            while not ended.is_set():
                await asyncio.sleep(0.02)
            server.should_exit = True
            await serving

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(20)
        yield address[0]
    finally:
        ended.set()
        thread.join()


def _in_answers(document: dict[str, Any]) -> set[str]:
    """The names of all schemas that a successful answer may contain."""
    found: set[str] = set()
    waiting = [
        response
        for operations in document["paths"].values()
        for operation in operations.values()
        for status, response in operation["responses"].items()
        if status.startswith("2")
    ]
    while waiting:
        names = set(re.findall(r"'#/components/schemas/(\w+)'", str(waiting.pop()))) - found
        found |= names
        waiting += [document["components"]["schemas"][name] for name in names]
    return found
