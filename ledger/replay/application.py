"""The log as an application of the eventsourcing library, to read, to follow and to append to."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from eventsourcing.application import Application, ProjectorFunction, Repository
from eventsourcing.persistence import InfrastructureFactory, JSONTranscoder, Mapper, StoredEvent
from eventsourcing.utils import Environment, EnvType

from ledger.codec import decode, encode
from ledger.replay.postgres import Factory
from ledger.store.append import NewEvent
from ledger.store.reader import Recorded
from ledger.store.recorder import SCHEMA, LedgerRecorder, RecordedNotification
from ledger.streams.registry import stream_of


class EventMapper(Mapper[UUID]):
    """States are what `ledger.codec` writes; there is no transcoder, compressor or cipher."""

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())

    def to_stored_event(self, domain_event: NewEvent) -> StoredEvent:  # type: ignore[override]
        """The bytes that are stored and hashed."""
        stream_id, version, event = domain_event
        return StoredEvent(stream_id, version, event.TOPIC, encode(event))

    def to_domain_event(self, stored_event: StoredEvent) -> Recorded:
        """What LedgerRecorder read. Raises UnknownTopic for an event of a newer release."""
        assert isinstance(stored_event, RecordedNotification)
        assert isinstance(stored_event.originator_id, UUID)
        return Recorded(
            stored_event.id,
            stored_event.originator_id,
            stored_event.originator_version,
            stored_event.topic,
            stored_event.recorded_at,
            stored_event.account_id,
            stored_event.account_seq,
            decode(stored_event.topic, stored_event.state),
        )


def fold(state: Any | None, events: Iterable[Recorded]) -> Any | None:  # noqa: ANN401 - each stream has its own state
    """The state after further events of one stream; None before the first."""
    for one in events:
        stream = stream_of(one.event)
        state = stream.evolve(stream.initial() if state is None else state, one.event)
    return state


class StreamRepository(Repository[UUID]):
    """The library's repository of states of ours."""

    def get(  # type: ignore[override]
        self,
        aggregate_id: UUID,
        *,
        version: int | None = None,
        projector_func: ProjectorFunction[Any, Any] = fold,
    ) -> Any:  # noqa: ANN401 - each stream has its own state
        """The state of a stream, now or after one of its versions."""
        return super().get(aggregate_id, version=version, projector_func=projector_func)


class LedgerApplication(Application[UUID]):
    """The library's application on our log; the environment names it by `LEDGER_SQL_DSN`.

    notification_log: all events in the order of their positions, as they are stored.
    events.get(stream_id), and what a projection of the library is given: `Recorded`, an event with
    its position, its moment and its stream.
    repository.get(stream_id): the fold of a stream by its own `evolve`, at any `version`. Raises
    the library's AggregateNotFoundError where there are no events.
    save(*NewEvent): appends them as one group through the append function, with their effects on
    budgets. Raises what LedgerRecorder.insert_events does.

    All but `save` takes no right beyond selecting from `ledger.event`, `ledger.head` and
    `ledger.stored_events`. It makes no tables and no snapshots.
    """

    name = "ledger"
    log_section_size = 1_000
    recorder_class: type[LedgerRecorder] = LedgerRecorder
    mapper_class: type[EventMapper] = EventMapper

    @property
    def repository(self) -> StreamRepository:
        """The states of our streams."""
        assert isinstance(self._repository, StreamRepository)
        return self._repository

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """As the library does it; the schema is ours, and snapshots have no table there."""
        fixed = {"POSTGRES_SCHEMA": SCHEMA, "IS_SNAPSHOTTING_ENABLED": "no"}
        found = super().construct_env(name, env)
        return Environment(name, found | {f"{name.upper()}_{key}": fixed[key] for key in fixed})

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        """Postgres, whatever PERSISTENCE_MODULE a projection has."""
        return Factory(env)

    def construct_mapper(self) -> Mapper[UUID]:
        """Between the library's stored events and ours."""
        return self.mapper_class()

    def construct_recorder(self) -> LedgerRecorder:
        """Ours, on the append function."""
        assert isinstance(self.factory, Factory)
        return self.recorder_class(self.factory.datastore)

    def construct_repository(self) -> Repository[UUID]:
        """Folds by `evolve`; nothing is cached."""
        return StreamRepository(self.events)
