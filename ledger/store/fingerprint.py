"""What the migrations made, object by object, and whether the database still has it.

A guard that somebody took out of a function, a trigger or an index stops nothing and says nothing,
so each has a digest in `schema.txt`, a line each: what it is, its name, the digest of what it does.
After a migration `python -m tests.schema` writes the file anew; a test fails until that is done.

Of the schemas `ledger`, `vault` and `operations` everything is compared that decides what is
stored: functions, triggers, indexes, rules, constraints, and tables with their columns. An index of
an operator's own that is not unique decides nothing, and may be there.
"""

import hashlib
from collections.abc import Iterator
from importlib import resources
from typing import Any, NamedTuple

import psycopg

FILE = "schema.txt"

_OBJECTS = """
    select 'function', p.oid::regprocedure::text,
           array[pg_get_function_result(p.oid), l.lanname, p.prosrc, p.prosecdef::text,
                 p.provolatile::text, p.proisstrict::text, p.proconfig::text,
                 p.proargnames::text, p.proargmodes::text]
    from pg_proc p join pg_language l on l.oid = p.prolang
    where p.pronamespace = any(%(schemas)s)
    union all
    select 'trigger', c.oid::regclass || ' ' || t.tgname,
           array[pg_get_triggerdef(t.oid), t.tgenabled::text]
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = any(%(schemas)s) and not t.tgisinternal
    union all
    select case when i.indisunique then 'unique index' else 'index' end,
           i.indexrelid::regclass::text,
           array[pg_get_indexdef(i.indexrelid), i.indisvalid::text, i.indisready::text]
    from pg_index i join pg_class c on c.oid = i.indrelid
    where c.relnamespace = any(%(schemas)s)
    union all
    select 'rule', c.oid::regclass || ' ' || r.rulename, array[r.ev_type::text, r.ev_enabled::text]
    from pg_rewrite r join pg_class c on c.oid = r.ev_class
    where c.relnamespace = any(%(schemas)s)
    union all
    select 'constraint', c.oid::regclass || ' ' || k.conname,
           array[pg_get_constraintdef(k.oid), k.convalidated::text]
    from pg_constraint k join pg_class c on c.oid = k.conrelid
    where c.relnamespace = any(%(schemas)s) and k.contype in ('c', 'f', 'p', 'u', 'x')
    union all
    select 'table', c.oid::regclass::text,
           array[c.relkind::text, c.relpersistence::text, c.relrowsecurity::text,
                 c.relforcerowsecurity::text,
                 case when c.relkind = 'v' then %(view)s end,
                 (select string_agg(format('%I %s %s %s %s %s', a.attname,
                                           format_type(a.atttypid, a.atttypmod), a.attnotnull,
                                           a.attgenerated, a.attidentity,
                                           pg_get_expr(d.adbin, d.adrelid)), ',' order by attnum)
                  from pg_attribute a
                  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)]
    from pg_class c where c.relnamespace = any(%(schemas)s) and c.relkind in ('r', 'p', 'v')
"""
# Servers of different ages write a column with its table, or without.
_VIEW = r"regexp_replace(pg_get_viewdef(c.oid), '\s+|\mevent\.', '', 'g')"
_SCHEMAS = "array['ledger', 'vault', 'operations']::regnamespace[]"

Fingerprint = dict[tuple[str, str], str]
"""By kind and name of an object, the digest of what it does."""


class SchemaDifference(NamedTuple):
    """An object of the schema that is not as this release made it."""

    kind: str
    name: str
    message: str


def read_fingerprint(connection: psycopg.Connection[Any]) -> Fingerprint:
    """That of a database. Any role that may connect will do."""
    query = _OBJECTS.replace("%(schemas)s", _SCHEMAS).replace("%(view)s", _VIEW)
    with connection.transaction():
        # So that every name is written whole, whatever this session looks through.
        connection.execute("set local search_path = pg_catalog")
        rows = connection.execute(query.encode()).fetchall()
    return {(kind, name): _digest(parts) for kind, name, parts in rows}


def committed_fingerprint() -> Fingerprint:
    """That of this release."""
    text = (resources.files("ledger.store") / FILE).read_text()
    found = {}
    for line in text.splitlines():
        kind, name, digest = line.split("\t")
        found[kind, name] = digest
    return found


def schema_differences(connection: psycopg.Connection[Any]) -> Iterator[SchemaDifference]:
    """Everything that is not as this release made it, by kind and name."""
    ours, found = committed_fingerprint(), read_fingerprint(connection)
    for kind, name in sorted(ours.keys() | found.keys()):
        if (kind, name) not in found:
            yield SchemaDifference(kind, name, "is missing")
        elif (kind, name) not in ours:
            if kind != "index":
                yield SchemaDifference(kind, name, "is not of this release")
        elif ours[kind, name] != found[kind, name]:
            yield SchemaDifference(kind, name, "is not as this release made it")


def _digest(parts: list[str | None]) -> str:
    hashed = hashlib.sha256()
    for part in parts:
        content = (part or "").encode()
        hashed.update(len(content).to_bytes(4, "big") + content)
    return hashed.hexdigest()[:32]
