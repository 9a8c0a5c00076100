#include "proxy/control/guard_objects.hpp"

namespace tidegate::control::guard_sql {
namespace {

// RFC 2104 with SHA-256; pgcrypto need not be there. Keys of at most 64 bytes.
constexpr std::string_view hmac = R"sql(
DECLARE
  inside bytea := key || decode(repeat('00', 64 - length(key)), 'hex');
  outside bytea := inside;
BEGIN
  FOR i IN 0..63 LOOP
    inside := set_byte(inside, i, get_byte(inside, i) # 54);
    outside := set_byte(outside, i, get_byte(outside, i) # 92);
  END LOOP;
  RETURN sha256(outside || sha256(inside || message));
END
)sql";

// Pids are used again; with its start a backend is known for certain. NULL: there is no such backend (-1
// gives the activity of all).
constexpr std::string_view token = R"sql(
SELECT covers || ':' || encode(tidegate_guard.hmac(
         tidegate_guard.hmac(s.secret, int4send(a.pid) || timestamptz_send(a.backend_start)),
         convert_to(covers || ':', 'UTF8') || command), 'hex')
  FROM tidegate_guard.settings AS s, pg_stat_get_activity(backend) AS a
 WHERE a.pid = backend
)sql";

// A token is good for the text of the message that the client sent, which is what current_query() is for
// everything that it sets off. What is nested shows in the call stack: at the top this function is alone
// there.
//
// What makes relations is looked at when they are made, and what drops tables when they are gone, because
// only then it can be told whether they are temporary, which is nobody else's business. Until then a DROP
// TABLE waits for its lock no longer than 50 ms.
constexpr std::string_view check_ddl = R"sql(
DECLARE
  mode text;
  allowed name[];
  stack text;
  nested boolean;
  given text := coalesce(current_setting('tidegate.vouch', true), '');
  covers text := split_part(given, ':', 1);
  detail text;
  hint text;
BEGIN
  SELECT s.mode, s.allowed_roles INTO mode, allowed FROM tidegate_guard.settings AS s;
  IF session_user = ANY (allowed) THEN
    RETURN;
  END IF;
  GET DIAGNOSTICS stack = PG_CONTEXT;
  nested := strpos(stack, chr(10)) <> 0;
  IF given = tidegate_guard.token(pg_backend_pid(), covers, convert_to(current_query(), pg_client_encoding()))
     AND (covers = 'all' OR NOT nested) THEN
    RETURN;
  END IF;

  CASE tg_event
    WHEN 'ddl_command_start' THEN
      IF tg_tag IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE VIEW', 'CREATE SEQUENCE') THEN
        RETURN;
      ELSIF tg_tag = 'DROP TABLE' THEN
        IF (SELECT s.setting::int4 NOT BETWEEN 1 AND 50 FROM pg_settings AS s WHERE s.name = 'lock_timeout') THEN
          PERFORM set_config('tidegate.lock_timeout', current_setting('lock_timeout'), true),
                  set_config('lock_timeout', '50ms', true);
        END IF;
        RETURN;
      END IF;
    WHEN 'sql_drop' THEN
      IF NOT EXISTS (SELECT FROM pg_event_trigger_dropped_objects() AS d WHERE d.original AND NOT d.is_temporary) THEN
        RETURN;
      END IF;
    WHEN 'ddl_command_end' THEN
      IF tg_tag = 'DROP TABLE' THEN
        IF current_setting('tidegate.lock_timeout', true) <> '' THEN
          PERFORM set_config('lock_timeout', current_setting('tidegate.lock_timeout'), true),
                  set_config('tidegate.lock_timeout', '', true);
        END IF;
        RETURN;
      ELSIF NOT EXISTS (SELECT FROM pg_event_trigger_ddl_commands() AS c WHERE c.schema_name IS DISTINCT FROM 'pg_temp') THEN
        RETURN;
      END IF;
  END CASE;

  detail := CASE
    WHEN mode IS NULL THEN 'The guard''s settings can''t be seen: it was installed after this transaction took its snapshot, or is damaged.'
    WHEN nested THEN 'It is run by a function, a trigger or a DO block, where no gateway sees it before it runs.'
    WHEN given = '' THEN 'This session is no client of a gateway''s, or the gateway could not vouch for the statement.'
    ELSE 'The vouch that this session shows is for another statement or another session.' END;
  hint := 'Send the statement itself through the gateway. If that is where it came from, tidegate doctor tells what is missing.'
    || chr(10) || 'To let a role pass: tidegate guard install --allow-role ROLE. To lift the guard, as a superuser: '
    || 'UPDATE tidegate_guard.settings SET mode = ''observe'';';
  IF mode = 'observe' THEN
    RAISE WARNING USING ERRCODE = 'insufficient_privilege', DETAIL = detail, HINT = hint,
      MESSAGE = tg_tag || ' did not pass a gateway: the server guard (tidegate) would refuse it';
  ELSE
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', DETAIL = detail, HINT = hint,
      MESSAGE = tg_tag || ' did not pass a gateway: refused by the server guard (tidegate)';
  END IF;
END
)sql";

constexpr std::string_view quoted = "$tidegate_guard$";

}  // namespace

const std::string_view table = R"sql(
CREATE TABLE tidegate_guard.settings (
  secret bytea NOT NULL CHECK (pg_catalog.length(secret) OPERATOR(pg_catalog.=) 32),
  mode text NOT NULL CHECK (mode OPERATOR(pg_catalog.=) ANY (ARRAY['enforce', 'observe'])),
  allowed_roles name[] NOT NULL))sql";

const std::array<function, 3> functions = {{
    {"hmac(bytea,bytea)", "key bytea, message bytea", "bytea", "LANGUAGE plpgsql IMMUTABLE STRICT", hmac,
     false},
    {"token(integer,text,bytea)", "backend integer, covers text, command bytea", "text",
     "LANGUAGE sql STABLE STRICT SECURITY DEFINER", token, true},
    {"check_ddl()", "", "event_trigger", "LANGUAGE plpgsql SECURITY DEFINER", check_ddl, true},
}};

const std::array<event_trigger, 3> event_triggers = {{
    {"tidegate_guard_start", "ddl_command_start", ""},
    {"tidegate_guard_end", "ddl_command_end",
     "'CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE VIEW', 'CREATE SEQUENCE', 'DROP TABLE'"},
    {"tidegate_guard_drop", "sql_drop", "'DROP TABLE'"},
}};

const std::string_view take_rights_away = R"sql(
DO $tidegate$
DECLARE
  grantee text;
BEGIN
  FOR grantee IN
    SELECT DISTINCT CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(e.grantee)) END
      FROM (SELECT n.nspacl AS acl, n.nspowner AS owner FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'tidegate_guard'
            UNION ALL
            SELECT c.relacl, c.relowner FROM pg_catalog.pg_class AS c WHERE c.relnamespace = 'tidegate_guard'::pg_catalog.regnamespace
            UNION ALL
            SELECT COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner)), p.proowner
              FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'tidegate_guard'::pg_catalog.regnamespace) AS o
     CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) AS e
     WHERE e.grantee <> o.owner
  LOOP
    EXECUTE 'REVOKE ALL ON SCHEMA tidegate_guard FROM ' || grantee;
    EXECUTE 'REVOKE ALL ON ALL TABLES IN SCHEMA tidegate_guard FROM ' || grantee;
    EXECUTE 'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tidegate_guard FROM ' || grantee;
  END LOOP;
END
$tidegate$)sql";

std::string create(const function& what) {
  const std::string name(what.signature.substr(0, what.signature.find('(')));
  std::string sql = "CREATE FUNCTION tidegate_guard." + name + "(";
  sql.append(what.arguments).append(") RETURNS ").append(what.result).append(" ").append(what.attributes);
  sql.append(" SET search_path = pg_catalog, pg_temp AS ").append(quoted).append(what.body).append(quoted);
  return sql;
}

std::string create(const event_trigger& what) {
  std::string sql = "CREATE EVENT TRIGGER ";
  sql.append(what.name).append(" ON ").append(what.event);
  if (!what.tags.empty()) sql.append(" WHEN TAG IN (").append(what.tags).append(")");
  return sql + " EXECUTE FUNCTION tidegate_guard.check_ddl()";
}

}  // namespace tidegate::control::guard_sql
