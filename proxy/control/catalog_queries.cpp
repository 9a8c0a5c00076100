#include "proxy/control/catalog_queries.hpp"

namespace tidegate::control::catalog_sql {

// A child is a partition or an inheritance child; the tree goes all the way down from each named table.
const std::string_view related_relations = R"sql(
WITH RECURSIVE
 named AS (SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.oid = ANY ($1::pg_catalog.oid[])),
 start AS (SELECT oid FROM named
           UNION SELECT i.indrelid FROM pg_catalog.pg_index AS i JOIN named ON named.oid = i.indexrelid),
 tree AS (SELECT oid FROM start
          UNION SELECT h.inhrelid FROM tree JOIN pg_catalog.pg_inherits AS h ON h.inhparent = tree.oid),
 related(oid, rank) AS (
   SELECT oid, 0 FROM start
   UNION ALL SELECT oid, 1 FROM tree
   UNION ALL SELECT h.inhparent, 1 FROM pg_catalog.pg_inherits AS h JOIN start ON start.oid = h.inhrelid
   UNION ALL SELECT k.confrelid, 2 FROM pg_catalog.pg_constraint AS k JOIN tree ON tree.oid = k.conrelid
              WHERE k.contype = 'f'
   UNION ALL SELECT k.conrelid, 2 FROM pg_catalog.pg_constraint AS k JOIN start ON start.oid = k.confrelid
              WHERE k.contype = 'f')
SELECT c.oid, c.relkind, min(r.rank), c.relhassubclass
  FROM related AS r JOIN pg_catalog.pg_class AS c ON c.oid = r.oid
 GROUP BY c.oid, c.relkind, c.relhassubclass ORDER BY min(r.rank), c.oid
 LIMIT $2::pg_catalog.int4)sql";

// Columns in expressions of a partition key depend internally on their own table. A bound has no columns:
// printed without its table, it locks none.
const std::string_view relations = R"sql(
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.reltuples, c.relpages,
       pg_catalog.current_setting('block_size'), COALESCE(s.spcname, ds.spcname), m.amname,
       pg_catalog.pg_get_userbyid(c.relowner),
       c.relreplident, c.relrowsecurity,
       (SELECT count(*) FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid),
       pn.nspname, pc.relname, tn.nspname, tc.relname,
       ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS a
              WHERE k.partrelid IS NOT NULL AND a.attrelid = c.oid AND a.attnum > 0
                AND (a.attnum = ANY (k.partattrs::pg_catalog.int2[])
                     OR EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                                 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                                   AND d.objsubid = a.attnum
                                   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                   AND d.refobjid = c.oid AND d.refobjsubid = 0 AND d.deptype = 'i'))
              ORDER BY a.attnum),
       k.partstrat,
       ARRAY(SELECT COALESCE(a.attname::pg_catalog.text, '')
               FROM pg_catalog.unnest(k.partattrs::pg_catalog.int2[]) WITH ORDINALITY AS key(number, place)
               LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = key.number
                     AND key.number <> 0
              ORDER BY key.place),
       pg_catalog.pg_get_expr(c.relpartbound, 0), c.relispopulated
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace
  LEFT JOIN pg_catalog.pg_database AS db ON db.datname = pg_catalog.current_database()
  LEFT JOIN pg_catalog.pg_tablespace AS ds ON ds.oid = db.dattablespace
  LEFT JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
  LEFT JOIN pg_catalog.pg_partitioned_table AS k ON k.partrelid = c.oid
  LEFT JOIN LATERAL (SELECT h.inhparent FROM pg_catalog.pg_inherits AS h
                      WHERE c.relispartition AND h.inhrelid = c.oid LIMIT 1) AS up ON true
  LEFT JOIN pg_catalog.pg_class AS pc ON pc.oid = up.inhparent
  LEFT JOIN pg_catalog.pg_namespace AS pn ON pn.oid = pc.relnamespace
  LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
  LEFT JOIN pg_catalog.pg_class AS tc ON tc.oid = i.indrelid
  LEFT JOIN pg_catalog.pg_namespace AS tn ON tn.oid = tc.relnamespace
 WHERE c.oid = ANY ($1::pg_catalog.oid[]))sql";

// Since 18 attnotnull is also set by a NOT NULL constraint that was not validated: that proves nothing.
const std::string_view columns = R"sql(
SELECT a.attrelid, a.attname, tn.nspname, t.typname, a.atttypmod,
       a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
                                     WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND NOT k.convalidated
                                       AND k.conkey = ARRAY[a.attnum]),
       a.atthasdef AND a.attgenerated = '', a.attidentity, a.attgenerated, o.collname,
       q.nspname, q.relname, q.typname
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
  JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.typnamespace
  LEFT JOIN pg_catalog.pg_collation AS o ON o.oid = a.attcollation
  LEFT JOIN LATERAL (
    SELECT sn.nspname, sc.relname, st.typname
      FROM pg_catalog.pg_depend AS d
      JOIN pg_catalog.pg_class AS sc ON sc.oid = d.objid AND sc.relkind = 'S'
      JOIN pg_catalog.pg_namespace AS sn ON sn.oid = sc.relnamespace
      JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = sc.oid
      JOIN pg_catalog.pg_type AS st ON st.oid = s.seqtypid
     WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.attrelid
       AND d.refobjsubid = a.attnum AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.deptype IN ('a', 'i')
     ORDER BY d.deptype DESC, sc.oid LIMIT 1) AS q ON true
 WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum)sql";

// Printing a check opens its table, as measuring one does: on a table that is locked the text stays empty,
// and an empty check proves nothing.
std::string constraints(int server_version) {
  const std::string enforced = server_version >= 180000 ? "k.conenforced" : "true";
  return R"sql(
WITH busy AS MATERIALIZED (
  SELECT DISTINCT l.relation FROM pg_catalog.pg_locks AS l
   WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
     AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                        WHERE d.datname = pg_catalog.current_database()))
SELECT k.conrelid, k.conname, k.contype, k.convalidated, k.connoinherit,
       ARRAY(SELECT a.attname::pg_catalog.text
               FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS c(number, place)
               JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = c.number
              ORDER BY c.place),
       CASE WHEN k.contype = 'c' AND NOT EXISTS (SELECT FROM busy WHERE busy.relation = k.conrelid)
            THEN pg_catalog.pg_get_constraintdef(k.oid) END,
       k.confrelid, rn.nspname, rc.relname, ic.relname, )sql" +
         enforced + R"sql(,
       k.coninhcount > 0, CASE WHEN k.contype = 'f' THEN pg_catalog.pg_get_constraintdef(k.oid) END,
       pg_catalog.obj_description(k.oid, 'pg_constraint')
  FROM pg_catalog.pg_constraint AS k
  LEFT JOIN pg_catalog.pg_class AS rc ON rc.oid = k.confrelid
  LEFT JOIN pg_catalog.pg_namespace AS rn ON rn.oid = rc.relnamespace
  LEFT JOIN pg_catalog.pg_class AS ic ON ic.oid = k.conindid AND k.contype IN ('p', 'u', 'x', 'f')
 WHERE k.conrelid = ANY ($1::pg_catalog.oid[])
 ORDER BY k.conrelid, k.conname)sql";
}

// An index mentions a column when it depends on it or has it as a key (the index of a constraint depends on
// columns only through the constraint). Printing one opens its table, as printing a check does.
const std::string_view indexes = R"sql(
WITH busy AS MATERIALIZED (
  SELECT DISTINCT l.relation FROM pg_catalog.pg_locks AS l
   WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
     AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                        WHERE d.datname = pg_catalog.current_database()))
SELECT i.indrelid, i.indexrelid, n.nspname, c.relname, i.indisvalid, i.indisready, i.indisunique, i.indisprimary,
       c.relkind = 'I', k.conname, m.amname,
       ARRAY(SELECT COALESCE(a.attname::pg_catalog.text, '')
               FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS key(number, place)
               LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = key.number
                     AND key.number <> 0
              WHERE key.place <= i.indnkeyatts ORDER BY key.place),
       ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS a
              WHERE a.attrelid = i.indrelid AND a.attnum > 0
                AND (a.attnum = ANY (i.indkey::pg_catalog.int2[])
                     OR EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                                 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                   AND d.objid = i.indexrelid
                                   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                   AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
              ORDER BY a.attnum),
       i.indexprs IS NOT NULL, i.indpred IS NOT NULL, key.plain, key.default_classes,
       CASE WHEN i.indexprs IS NULL AND i.indpred IS NULL AND NOT i.indisclustered AND c.reltablespace = 0
                 AND NOT EXISTS (SELECT FROM busy WHERE busy.relation = i.indrelid)
            THEN pg_catalog.pg_get_indexdef(i.indexrelid) END,
       pg_catalog.obj_description(i.indexrelid, 'pg_class')
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
  LEFT JOIN pg_catalog.pg_constraint AS k
         ON k.conrelid = i.indrelid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
  CROSS JOIN LATERAL (
    SELECT pg_catalog.bool_and(key.option = 0 AND o.opcdefault
                               AND (a.attnum IS NULL OR a.attcollation = key.coll)) AS plain,
           pg_catalog.bool_and(o.opcdefault) AS default_classes
      FROM ROWS FROM (pg_catalog.unnest(i.indkey::pg_catalog.int2[]), pg_catalog.unnest(i.indclass::pg_catalog.oid[]),
                      pg_catalog.unnest(i.indcollation::pg_catalog.oid[]),
                      pg_catalog.unnest(i.indoption::pg_catalog.int2[]))
             WITH ORDINALITY AS key(number, class, coll, option, place)
      JOIN pg_catalog.pg_opclass AS o ON o.oid = key.class
      LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = key.number
            AND key.number <> 0
     WHERE key.place <= i.indnkeyatts) AS key
 WHERE i.indrelid = ANY ($1::pg_catalog.oid[])
 ORDER BY i.indrelid, c.relname)sql";

const std::string_view children = R"sql(
SELECT h.inhparent, n.nspname, c.relname, COALESCE(p.partdefid = c.oid, false)
  FROM pg_catalog.pg_inherits AS h
  JOIN pg_catalog.pg_class AS c ON c.oid = h.inhrelid AND c.relkind NOT IN ('i', 'I')
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = h.inhparent
 WHERE h.inhparent = ANY ($1::pg_catalog.oid[])
 ORDER BY h.inhparent, n.nspname, c.relname)sql";

const std::string_view referencing = R"sql(
SELECT DISTINCT k.confrelid, n.nspname, c.relname, k.conname
  FROM pg_catalog.pg_constraint AS k
  JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.confrelid = ANY ($1::pg_catalog.oid[])
 ORDER BY k.confrelid, n.nspname, c.relname, k.conname)sql";

// What PostgreSQL's ALTER COLUMN TYPE refuses to carry along: see ATExecAlterColumnType in its tablecmds.c.
// (A column of the partition key is in `relations`.)
const std::string_view dependents = R"sql(
WITH used AS (
  SELECT d.classid, d.objid, d.objsubid, d.refobjid, d.refobjsubid
    FROM pg_catalog.pg_depend AS d
   WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
     AND d.refobjid = ANY ($1::pg_catalog.oid[])
     AND d.classid IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass,
                       'pg_catalog.pg_trigger'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass,
                       'pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass,
                       'pg_catalog.pg_publication_rel'::pg_catalog.regclass)),
 found(relation, number, what, schema, name, on_schema, on_name) AS (
  SELECT DISTINCT u.refobjid, u.refobjsubid,
         CASE v.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE 'rule' END,
         CASE WHEN v.relkind IN ('v', 'm') THEN n.nspname END,
         CASE WHEN v.relkind IN ('v', 'm') THEN v.relname ELSE w.rulename END,
         CASE WHEN v.relkind NOT IN ('v', 'm') THEN n.nspname END,
         CASE WHEN v.relkind NOT IN ('v', 'm') THEN v.relname END
    FROM used AS u
    JOIN pg_catalog.pg_rewrite AS w ON w.oid = u.objid
    JOIN pg_catalog.pg_class AS v ON v.oid = w.ev_class
    JOIN pg_catalog.pg_namespace AS n ON n.oid = v.relnamespace
   WHERE u.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
     AND NOT (w.ev_class = u.refobjid AND v.relkind IN ('v', 'm'))
  UNION ALL
  SELECT DISTINCT u.refobjid, u.refobjsubid, 'policy', NULL::pg_catalog.name, p.polname, n.nspname, c.relname
    FROM used AS u
    JOIN pg_catalog.pg_policy AS p ON p.oid = u.objid
    JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
   WHERE u.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND u.refobjsubid > 0
  UNION ALL
  SELECT DISTINCT u.refobjid, u.refobjsubid, 'trigger', NULL::pg_catalog.name, g.tgname, n.nspname, c.relname
    FROM used AS u
    JOIN pg_catalog.pg_trigger AS g ON g.oid = u.objid
    JOIN pg_catalog.pg_class AS c ON c.oid = g.tgrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
   WHERE u.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND u.refobjsubid > 0
  UNION ALL
  SELECT DISTINCT u.refobjid, u.refobjsubid, 'generated column', NULL::pg_catalog.name, a.attname,
         NULL::pg_catalog.name, NULL::pg_catalog.name
    FROM used AS u
    JOIN pg_catalog.pg_attrdef AS f ON f.oid = u.objid
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
   WHERE u.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND u.refobjsubid > 0
     AND NOT (f.adrelid = u.refobjid AND f.adnum = u.refobjsubid)
  UNION ALL
  SELECT u.refobjid, u.refobjsubid, 'generated column', NULL::pg_catalog.name, a.attname,
         NULL::pg_catalog.name, NULL::pg_catalog.name
    FROM used AS u
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = u.objid AND a.attnum = u.objsubid AND a.attgenerated <> ''
   WHERE u.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND u.objid = u.refobjid AND u.refobjsubid > 0
  UNION ALL
  SELECT DISTINCT u.refobjid, u.refobjsubid, 'function', n.nspname, f.proname, NULL::pg_catalog.name, NULL::pg_catalog.name
    FROM used AS u
    JOIN pg_catalog.pg_proc AS f ON f.oid = u.objid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace
   WHERE u.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND u.refobjsubid > 0
  UNION ALL
  SELECT DISTINCT u.refobjid, u.refobjsubid, 'publication', NULL::pg_catalog.name, b.pubname,
         NULL::pg_catalog.name, NULL::pg_catalog.name
    FROM used AS u
    JOIN pg_catalog.pg_publication_rel AS r ON r.oid = u.objid
    JOIN pg_catalog.pg_publication AS b ON b.oid = r.prpubid
   WHERE u.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND u.refobjsubid > 0)
SELECT f.relation, a.attname, f.what, f.schema, f.name, f.on_schema, f.on_name
  FROM found AS f
  LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.relation AND a.attnum = f.number AND f.number > 0
 ORDER BY f.relation, f.number, f.what, f.schema, f.name)sql";

// A partition is published with any of its ancestors; column lists and schemas in publications came with 15.
std::string publications(int server_version) {
  const bool has_lists = server_version >= 150000;
  std::string sql = R"sql(
WITH up(relation, member) AS (
  SELECT c.oid, c.oid FROM pg_catalog.pg_class AS c
   WHERE c.oid = ANY ($1::pg_catalog.oid[]) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
     AND c.oid >= 16384
  UNION
  SELECT c.oid, a.relid FROM pg_catalog.pg_class AS c,
         LATERAL pg_catalog.pg_partition_ancestors(c.oid) AS a(relid)
   WHERE c.oid = ANY ($1::pg_catalog.oid[]) AND c.relkind IN ('r', 'p') AND c.relispartition)
SELECT up.relation, )sql";
  sql += has_lists ? R"sql(
       CASE WHEN r.prattrs IS NOT NULL THEN
         ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS a
                WHERE a.attrelid = up.member AND a.attnum = ANY (r.prattrs::pg_catalog.int2[]) ORDER BY a.attnum)
       END)sql"
                   : "NULL::pg_catalog.text[]";
  sql += R"sql(
  FROM up JOIN pg_catalog.pg_publication_rel AS r ON r.prrelid = up.member
UNION ALL
SELECT DISTINCT up.relation, NULL::pg_catalog.text[]
  FROM up JOIN pg_catalog.pg_publication AS b ON b.puballtables)sql";
  if (has_lists)
    sql += R"sql(
UNION ALL
SELECT DISTINCT up.relation, NULL::pg_catalog.text[]
  FROM up JOIN pg_catalog.pg_class AS c ON c.oid = up.member
  JOIN pg_catalog.pg_publication_namespace AS s ON s.pnnspid = c.relnamespace)sql";
  return sql;
}

// Row triggers and statement triggers of any UPDATE (tgtype bit 16), not those of chosen columns; rules.
const std::string_view update_triggers = R"sql(
SELECT t.tgrelid, 'trigger', t.tgname FROM pg_catalog.pg_trigger AS t
 WHERE t.tgrelid = ANY ($1::pg_catalog.oid[]) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
   AND t.tgtype & 16 = 16 AND pg_catalog.cardinality(t.tgattr::pg_catalog.int2[]) = 0
UNION ALL
SELECT r.ev_class, 'rule', r.rulename FROM pg_catalog.pg_rewrite AS r
 WHERE r.ev_class = ANY ($1::pg_catalog.oid[]) AND r.ev_type = '2' AND r.ev_enabled IN ('O', 'A')
 ORDER BY 1, 2 DESC, 3)sql";

// What PostgreSQL steps around when it chooses a name for something of the table: it keeps at least the first
// seven characters of the table's own.
const std::string_view taken_names = R"sql(
SELECT c.oid, 'relation', r.relname
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_class AS r ON r.relnamespace = c.relnamespace
 WHERE c.oid = ANY ($1::pg_catalog.oid[])
   AND pg_catalog.starts_with(r.relname, pg_catalog.left(c.relname, 7))
   AND r.relname ~ '_(key|pkey|idx|seq)[0-9]*$'
UNION ALL
SELECT c.oid, 'constraint', k.conname
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_constraint AS k ON k.connamespace = c.relnamespace
 WHERE c.oid = ANY ($1::pg_catalog.oid[])
   AND pg_catalog.starts_with(k.conname, pg_catalog.left(c.relname, 7))
   AND k.conname ~ '_(key|pkey|check|fkey|not_null)[0-9]*$')sql";

const std::string_view sizes = R"sql(
WITH busy AS MATERIALIZED (
  SELECT DISTINCT l.relation FROM pg_catalog.pg_locks AS l
   WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
     AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                        WHERE d.datname = pg_catalog.current_database())),
 measured AS MATERIALIZED (
  SELECT c.oid FROM pg_catalog.pg_class AS c
   WHERE c.relkind IN ('r', 'm', 't', 'i', 'S')
     AND (c.oid = ANY ($1::pg_catalog.oid[])
          OR c.oid IN (SELECT i.indexrelid FROM pg_catalog.pg_index AS i
                        WHERE i.indrelid = ANY ($1::pg_catalog.oid[]))))
SELECT m.oid, CASE WHEN NOT EXISTS (SELECT FROM busy WHERE busy.relation = m.oid)
                   THEN pg_catalog.pg_relation_size(m.oid) END
  FROM measured AS m)sql";

const std::string_view tree_sizes = R"sql(
WITH RECURSIVE
 tree(root, oid) AS (
  SELECT c.oid, c.oid FROM pg_catalog.pg_class AS c WHERE c.oid = ANY ($1::pg_catalog.oid[])
  UNION
  SELECT t.root, h.inhrelid FROM tree AS t JOIN pg_catalog.pg_inherits AS h ON h.inhparent = t.oid),
 busy AS MATERIALIZED (
  SELECT DISTINCT l.relation FROM pg_catalog.pg_locks AS l
   WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
     AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d
                        WHERE d.datname = pg_catalog.current_database())),
 leaf AS MATERIALIZED (
  SELECT t.root, c.reltuples, c.relpages, c.relkind = 'f' AS is_foreign,
         CASE WHEN NOT EXISTS (SELECT FROM busy WHERE busy.relation = c.oid)
              THEN pg_catalog.pg_relation_size(c.oid) END AS bytes
    FROM tree AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.oid AND c.relkind IN ('r', 'f'))
SELECT root, CASE WHEN pg_catalog.bool_and(is_foreign OR bytes IS NOT NULL) THEN pg_catalog.sum(COALESCE(bytes, 0)) END,
       CASE WHEN pg_catalog.bool_and(bytes = 0 OR (reltuples >= 0 AND relpages > 0))
            THEN pg_catalog.sum(CASE WHEN bytes = 0 THEN 0 ELSE reltuples::pg_catalog.float8
                                / NULLIF(relpages, 0) * bytes / pg_catalog.current_setting('block_size')::pg_catalog.int8 END)
       END
  FROM leaf GROUP BY root)sql";

const std::string_view domain_users = R"sql(
WITH RECURSIVE family(root, oid) AS (
  SELECT t.oid, t.oid FROM pg_catalog.pg_type AS t WHERE t.oid = ANY ($1::pg_catalog.oid[])
  UNION
  SELECT f.root, t.oid FROM family AS f JOIN pg_catalog.pg_type AS t ON t.typbasetype = f.oid AND t.typtype = 'd')
SELECT DISTINCT f.root, n.nspname, c.relname, c.oid
  FROM family AS f
  JOIN pg_catalog.pg_attribute AS a ON a.atttypid = f.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm', 'f')
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 ORDER BY f.root, n.nspname, c.relname)sql";

}  // namespace tidegate::control::catalog_sql
