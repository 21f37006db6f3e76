"""What the migrations made, object by object, and whether the database still has it.

A guard that somebody took out of a function, a trigger or an index stops nothing and says nothing,
so each has a digest in `schema.txt`, a line each: what it is, its name, the digest of what it does.
After a migration `python -m tests.schema` writes the file anew; a test fails until that is done.

Of the schemas `ledger`, `vault`, `operations` and `projections` everything is compared that decides
what is stored: functions, triggers, indexes, rules, constraints, tables with their columns and
heirs, and of each schema, table and function who owns it and what others may do. An index of an
operator's own that is not unique decides nothing, and may be there.

Roles have other names in every installation. So an owner is right that owns the whole schema
`ledger`, or is a superuser; and of what others may do only that counts which the application does
not need, so that whoever may just read is no fault. The views in `projections` change with every
rebuild: what they say, `projections.served_views` compares.
"""

import hashlib
from collections.abc import Iterator
from importlib import resources
from typing import Any, NamedTuple

import psycopg

FILE = "schema.txt"

_SCHEMAS = "array['ledger', 'vault', 'operations', 'projections']::regnamespace[]"
_ARE_TABLES = f"""c.relnamespace = any({_SCHEMAS}) and (c.relkind in ('r', 'p', 'f', 'm')
    or c.relkind = 'v' and c.relnamespace <> 'projections'::regnamespace)"""
# Servers of different ages write a column with its table, or without.
_VIEW = r"regexp_replace(pg_get_viewdef(c.oid), '\s+|\mevent\.', '', 'g')"


def _owner(column: str) -> str:
    return f"""(select case when r.rolsuper or r.oid = o.nspowner then 'owner' else 'another' end
        from pg_roles r, pg_namespace o where r.oid = {column} and o.nspname = 'ledger')"""  # noqa: S608 - constants


def _others(column: str, owner: str, needed: str) -> str:
    """What others than the owner may do, and the application need not: what it needs counts where
    everybody may do it, or it may be given on.
    """
    return f"""array(select distinct concat_ws(' ', case a.grantee when 0 then 'everybody' end,
            a.privilege_type, case when a.is_grantable then 'and give it on' end)
        from aclexplode({column}) a where a.grantee <> {owner}
        and (a.grantee = 0 or a.is_grantable or a.privilege_type <> all({needed}))
        order by 1)::text"""  # noqa: S608 - constants


_NEEDED_OF_TABLES = """case c.relnamespace when 'ledger'::regnamespace then array['SELECT']
    else array['SELECT', 'INSERT', 'UPDATE', 'DELETE'] end"""
_NEEDED_OF_SCHEMAS = """case s.nspname when 'ledger' then array['USAGE']
    else array['USAGE', 'CREATE'] end"""
_NEEDED_OF_FUNCTIONS = """case when p.proname in ('append_events', 'pass_time')
    then array['EXECUTE'] else array[]::text[] end"""

_OBJECTS = f"""
    select 'function', p.oid::regprocedure::text,
           array[pg_get_function_result(p.oid), l.lanname, p.prosrc, p.prosecdef::text,
                 p.provolatile::text, p.proisstrict::text, p.proconfig::text,
                 p.proargnames::text, p.proargmodes::text]
    from pg_proc p join pg_language l on l.oid = p.prolang
    where p.pronamespace = any({_SCHEMAS})
    union all
    select 'trigger', c.oid::regclass || ' ' || t.tgname,
           array[pg_get_triggerdef(t.oid), t.tgenabled::text]
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace = any({_SCHEMAS}) and not t.tgisinternal
    union all
    select case when i.indisunique then 'unique index' else 'index' end,
           i.indexrelid::regclass::text,
           array[pg_get_indexdef(i.indexrelid), i.indisvalid::text, i.indisready::text]
    from pg_index i join pg_class c on c.oid = i.indrelid
    where c.relnamespace = any({_SCHEMAS})
    union all
    select 'rule', c.oid::regclass || ' ' || r.rulename, array[r.ev_type::text, r.ev_enabled::text]
    from pg_rewrite r join pg_class c on c.oid = r.ev_class
    where c.relnamespace = any({_SCHEMAS})
      and not (r.rulename = '_RETURN' and c.relnamespace = 'projections'::regnamespace)
    union all
    select 'constraint', c.oid::regclass || ' ' || k.conname,
           array[pg_get_constraintdef(k.oid), k.convalidated::text]
    from pg_constraint k join pg_class c on c.oid = k.conrelid
    where c.relnamespace = any({_SCHEMAS}) and k.contype in ('c', 'f', 'p', 'u', 'x')
    union all
    select 'table', c.oid::regclass::text,
           array[c.relkind::text, c.relpersistence::text, c.relrowsecurity::text,
                 c.relforcerowsecurity::text,
                 case when c.relkind = 'v' then {_VIEW} end,
                 (select string_agg(format('%I %s %s %s %s %s', a.attname,
                                           format_type(a.atttypid, a.atttypmod), a.attnotnull,
                                           a.attgenerated, a.attidentity,
                                           pg_get_expr(d.adbin, d.adrelid)), ',' order by attnum)
                  from pg_attribute a
                  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
                  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
                 array(select i.inhparent::regclass::text from pg_inherits i
                       where i.inhrelid = c.oid order by 1)::text,
                 array(select i.inhrelid::regclass::text from pg_inherits i
                       where i.inhparent = c.oid order by 1)::text]
    from pg_class c where {_ARE_TABLES}
"""  # noqa: S608 - constants

_OTHERS_IN_COLUMNS = f"""array(select a.attname || ' '
            || {_others("a.attacl", "c.relowner", _NEEDED_OF_TABLES)}
        from pg_attribute a where a.attrelid = c.oid and a.attacl is not null order by 1)::text"""  # noqa: S608
_GRANTED = "coalesce(p.proacl, acldefault('f', p.proowner))"

_ACCESS = f"""
    select 'access', s.oid::regnamespace::text,
           array[{_owner("s.nspowner")}, {_others("s.nspacl", "s.nspowner", _NEEDED_OF_SCHEMAS)}]
    from pg_namespace s where s.oid = any({_SCHEMAS})
    union all
    select 'access', c.oid::regclass::text,
           array[{_owner("c.relowner")}, {_others("c.relacl", "c.relowner", _NEEDED_OF_TABLES)},
                 {_OTHERS_IN_COLUMNS}]
    from pg_class c where {_ARE_TABLES}
    union all
    select 'access', p.oid::regprocedure::text,
           array[{_owner("p.proowner")}, {_others(_GRANTED, "p.proowner", _NEEDED_OF_FUNCTIONS)}]
    from pg_proc p where p.pronamespace = any({_SCHEMAS})
"""  # noqa: S608 - constants

Fingerprint = dict[tuple[str, str], str]
"""By kind and name of an object, the digest of what it does."""


class SchemaDifference(NamedTuple):
    """An object of the schema that is not as this release made it."""

    kind: str
    name: str
    message: str


def read_fingerprint(connection: psycopg.Connection[Any]) -> Fingerprint:
    """That of a database. Any role that may connect will do."""
    with connection.transaction():
        # So that every name is written whole, whatever this session looks through.
        connection.execute("set local search_path = pg_catalog")
        rows = connection.execute(f"{_OBJECTS} union all {_ACCESS}".encode()).fetchall()
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
