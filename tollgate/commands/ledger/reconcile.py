"""`tollgate ledger reconcile FILE`: a provider's export against what was recorded."""

import argparse
import os
from pathlib import Path

import msgspec

from admin_api.desk import Desk
from admin_api.reconciliation.operations import Comparison, every_line, reconcile_file
from projections.reconciliation.matching import AGREED, OUTCOMES, Line
from projections.reconciliation.report import Capture, Summary
from projections.reconciliation.sheet import HEADER, line_as_csv, line_as_object
from projections.reconciliation.storage import KeptReport
from projections.views import channels, prices, upstream_daily
from tollgate.commands.at_the_desk import ACTOR, identifier, print_table
from tollgate.commands.contract import (
    FINDINGS,
    OK,
    UsageRefused,
)
from tollgate.commands.read_models import perform_caught_up

FILE_MAX_BYTES = 64_000_000
LINES_SHOWN = 50

_READS = (upstream_daily.PROJECTION, prices.PROJECTION, channels.PROJECTION)


def run(arguments: argparse.Namespace) -> int:
    content = _content(Path(arguments.file))
    out = None if arguments.out is None else Path(arguments.out)
    if out is not None and out.exists():
        raise UsageRefused(f"{out} exists already: give another name")
    asked = Comparison(
        format=arguments.format,
        mapping=None if arguments.mapping is None else _mapping(Path(arguments.mapping)),
        channel_ids=tuple(identifier(each) for each in arguments.channel),
        provider_type=arguments.provider_type,
        since=arguments.since,
        until=arguments.until,
        tolerance_basis_points=arguments.tolerance_bp,
        tolerance_usd=arguments.tolerance_usd,
        bytes_max=FILE_MAX_BYTES,
    )

    async def work(desk: Desk) -> tuple[KeptReport, list[Line]]:
        given = await reconcile_file(desk, content, asked, actor=ACTOR)
        return given.report, [line async for line in every_line(desk, given.report.report_id)]

    report, lines = perform_caught_up(arguments, _READS, work)
    if out is not None:
        _write(out, HEADER + "".join(map(line_as_csv, lines)))
    if arguments.json:
        print(_as_json(report, lines))
    else:
        _print(report, lines)
    return OK if report.summary.agrees else FINDINGS


def _content(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if size > FILE_MAX_BYTES:
            raise UsageRefused(f"{file} has {size} bytes; {FILE_MAX_BYTES} are read at most")
        return file.read_bytes()
    except OSError as refusal:
        raise UsageRefused(f"{file} cannot be read ({refusal.strerror})") from refusal


def _mapping(file: Path) -> str:
    try:
        return _content(file).decode()
    except UnicodeDecodeError as error:
        raise UsageRefused(f"{file} is not UTF-8 text") from error


def _write(file: Path, text: str) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as out:
            out.write(text)
    except OSError as refusal:
        raise UsageRefused(f"{file} cannot be written ({refusal.strerror})") from refusal


def _as_json(report: KeptReport, lines: list[Line]) -> str:
    told = {
        "id": report.report_id,
        "format": report.format,
        "digest": report.sha256,
        "first_day": report.first_day,
        "last_day": report.last_day,
        "as_of_position": report.as_of_position,
        "agrees": report.summary.agrees,
        "summary": report.summary,
        "lines": [line_as_object(line) for line in lines],
    }
    return msgspec.json.encode(told).decode()


def _print(report: KeptReport, lines: list[Line]) -> None:
    summary = report.summary
    print(
        f"{report.format}, {report.first_day} to {report.last_day} in UTC, "
        f"as of position {report.as_of_position}; report {report.report_id}"
    )
    print()
    counts = [
        (name.replace("_", " "), summary.outcomes[name], summary.differences[name])
        for name in OUTCOMES
        if summary.outcomes[name]
    ]
    print_table(("outcome", "lines", "theirs - ours, USD"), counts)
    print()
    print_table(
        ("day", "tokens, ours/theirs", "capture", "USD, ours/theirs", "capture", "failed tries"),
        [*_days(summary), ("total", *_capture(summary.tokens), *_capture(summary.amount), "")],
    )
    wrong = [line for line in lines if line.outcome not in AGREED]
    if wrong:
        print()
        print_table(
            ("day", "model", "unit", "outcome", "their units", "ours", "their USD", "ours"),
            [_cells(line) for line in wrong[:LINES_SHOWN]],
        )
    if len(wrong) > LINES_SHOWN:
        print(f"... and {len(wrong) - LINES_SHOWN} more; --out FILE writes all of them")
    for theirs, ours in summary.suggestions.items():
        print(f"their {theirs} may be our {ours}: say so in a mapping, under `models`")
    for note in summary.notes:
        print(f"note: {note}")


def _days(summary: Summary) -> list[tuple[object, ...]]:
    return [
        (day.day, *_capture(day.tokens), *_capture(day.amount), day.failed_attempts)
        for day in summary.days
    ]


def _capture(capture: Capture | None) -> tuple[str, str]:
    if capture is None:
        return "", ""
    return f"{capture.ours}/{capture.theirs}", capture.rate or "-"


def _cells(line: Line) -> tuple[str, ...]:
    told = line_as_object(line)
    figures = ("their_units", "our_units", "their_amount", "our_amount")
    return (
        told["day"],
        line.model or "(all)",
        line.unit,
        line.outcome.replace("_", " "),
        *(told[name] or "" for name in figures),
    )
