"""What was charged, by day (UTC) and model, in a table of our own: exactly once, whatever dies."""

import sys
from collections import Counter
from datetime import UTC, date

from eventsourcing.persistence import Tracking
from eventsourcing.projection import Projection, ProjectionRunner

from ledger.replay.batches import Batch, LedgerInBatches
from ledger.replay.read_model import ReadModel
from ledger.streams.charge.events import ChargeAdjusted, UsageSettled

ADD = """
    insert into revenue values (%s, %s, %s)
    on conflict (day, model) do update set nanos = revenue.nanos + excluded.nanos
"""


class RevenueTable(ReadModel):
    tables = (
        "create table if not exists revenue "
        "(day date, model text, nanos bigint not null, primary key (day, model))",
    )


class Revenue(Projection[RevenueTable]):
    topics = (UsageSettled.TOPIC, ChargeAdjusted.TOPIC)

    def process_event(self, batch: Batch, tracking: Tracking) -> None:
        sums: Counter[tuple[date, str]] = Counter()
        for one in batch.events:
            match one.event:
                case (
                    UsageSettled(terms=terms, charged_nanos=nanos)
                    | ChargeAdjusted(terms=terms, delta_nanos=nanos)
                ):
                    sums[one.recorded_at.astimezone(UTC).date(), terms.model] += nanos
        with self.view.advance(batch, tracking) as cursor:
            cursor.executemany(ADD, [(*key, nanos) for key, nanos in sums.items()])


if __name__ == "__main__":
    env = {
        "PERSISTENCE_MODULE": "ledger.replay.postgres",
        "LEDGER_SQL_DSN": sys.argv[1],
        "REVENUE_SQL_DSN": sys.argv[2],
    }
    with ProjectionRunner(
        application_class=LedgerInBatches,
        projection_class=Revenue,
        view_class=RevenueTable,
        env=env,
    ) as runner:
        runner.run_forever()
