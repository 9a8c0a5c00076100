"""The schema of a database as a text that can be compared: pg_dump's, or the catalog's where no pg_dump of the server's version is at hand."""

import pathlib
import re
import subprocess

from support.postgres import DEBIAN_BINARIES

# Each gives one line per object, whatever pg_dump would have said of it.
_CATALOG = """
WITH ours AS (SELECT c.*, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'tidegate'))
SELECT format('relation %I.%I kind=%s persistence=%s options=%s identity=%s rls=%s/%s bound=%s key=%s owner=%s acl=%s comment=%s tablespace=%s', nspname, relname, relkind, relpersistence, reloptions,
              relreplident, relrowsecurity, relforcerowsecurity, pg_get_expr(relpartbound, oid), CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END, relowner::regrole,
              relacl, obj_description(oid, 'pg_class'), reltablespace) FROM ours
UNION ALL SELECT format('parent of %s: %s %s', i.inhrelid::regclass, i.inhparent::regclass, i.inhseqno) FROM pg_inherits i JOIN ours ON ours.oid = i.inhrelid
UNION ALL SELECT format('column %s.%I #%s %s notnull=%s default=%s identity=%s generated=%s collation=%s storage=%s statistics=%s local=%s inherited=%s options=%s acl=%s comment=%s', a.attrelid::regclass, a.attname,
              row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated,
              a.attcollation::regcollation, a.attstorage, nullif(a.attstattarget, -1), a.attislocal, a.attinhcount, a.attoptions, a.attacl, col_description(a.attrelid, a.attnum))
          FROM pg_attribute a JOIN ours ON ours.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE a.attnum > 0 AND NOT a.attisdropped AND ours.relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL SELECT format('constraint %s %I: %s validated=%s local=%s inherited=%s noinherit=%s comment=%s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), k.convalidated, k.conislocal,
              k.coninhcount, CASE WHEN k.contype IN ('c', 'n') THEN k.connoinherit END, obj_description(k.oid, 'pg_constraint')) FROM pg_constraint k JOIN ours ON ours.oid = k.conrelid
UNION ALL SELECT format('domain constraint %s %I: %s validated=%s', k.contypid::regtype, k.conname, pg_get_constraintdef(k.oid), k.convalidated) FROM pg_constraint k WHERE k.contypid <> 0
              AND k.connamespace::regnamespace::text NOT IN ('information_schema', 'pg_catalog')
UNION ALL SELECT format('index %s valid=%s ready=%s identity=%s clustered=%s', pg_get_indexdef(x.indexrelid), x.indisvalid, x.indisready, x.indisreplident, x.indisclustered) FROM pg_index x JOIN ours ON ours.oid = x.indexrelid
UNION ALL SELECT format('sequence %s type=%s start=%s step=%s min=%s max=%s cache=%s cycle=%s of %s', s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
              s.seqcycle, (SELECT format('%s column %s', d.refobjid::regclass, col_description(d.refobjid, d.refobjsubid)) || (SELECT attname FROM pg_attribute WHERE attrelid = d.refobjid AND attnum = d.refobjsubid)
                             FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i'))) FROM pg_sequence s JOIN ours ON ours.oid = s.seqrelid
UNION ALL SELECT 'trigger ' || pg_get_triggerdef(t.oid) || ' enabled=' || t.tgenabled::text FROM pg_trigger t JOIN ours ON ours.oid = t.tgrelid WHERE NOT t.tgisinternal
UNION ALL SELECT format('type %I.%I kind=%s base=%s values=%s', n.nspname, t.typname, t.typtype, t.typbasetype::regtype, (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
          FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'tidegate') AND t.typtype IN ('d', 'e')
UNION ALL SELECT 'view ' || oid::regclass::text || ' ' || pg_get_viewdef(oid) FROM ours WHERE relkind IN ('v', 'm')
ORDER BY 1
"""


def schema_of(postgres, database: str) -> str:
    tool = next((folder / "pg_dump" for folder in (postgres.binaries, DEBIAN_BINARIES) if (folder / "pg_dump").exists()), None)
    if tool is None or _major(tool) < postgres.version() // 10000:
        return "\n".join(line for (line,) in postgres.execute(_CATALOG, database) if line)
    text = subprocess.run([tool, "--schema-only", "--exclude-schema=tidegate", "-h", postgres.host, "-p", str(postgres.port), "-U", "postgres", database],
                          check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)


def _major(tool: pathlib.Path) -> int:
    return int(re.search(r"(\d+)", subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout)[1])
