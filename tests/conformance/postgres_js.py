"""postgres.js' tests. The roles and the database they want are made on PostgreSQL itself, and every test is run: its own
harness stops at the first failure and sets the server up by itself.
"""

import json
import pathlib
import shutil

from .suite import Address, NotHere, Outcome, fresh_database, run, same

NAME = "postgres.js"
_DATABASE = "postgres_js_test"

_HARNESS = """
const tests = []
const seconds = (options, standard) => ((options && options.timeout) || standard) * 1000
export const t = (name, options, body) => { tests.push({ name, options, body: body || options }) }
export const ot = t
export const nt = () => {}
t.timeout = 5

const limit = (milliseconds, promise) => {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('timed out')), milliseconds) })
  return Promise.race([late, promise]).finally(() => clearTimeout(timer))
}

async function outcome({ options, body }) {
  try {
    const [expected, got] = await limit(seconds(options, t.timeout), Promise.resolve().then(body).then(pair => Promise.all(pair)))
    return expected === got ? 'passed' : `failed: ${String(expected)} is not ${String(got)}`
  } catch (error) {
    return `failed: ${String(error && error.message || error)}`
  }
}

for (const event of ['unhandledRejection', 'uncaughtException']) process.on(event, () => {})
setTimeout(async() => {
  for (const [index, test] of tests.entries())
    console.log('RESULT\\t' + JSON.stringify([`${index} ${test.name}`, await outcome(test)]))
  process.exit(0)
}, 50)
"""

# stands before the real entry point, so that every connection of the tests uses TLS
_WITH_TLS = """
import postgres from './plain.js'
const tls = { ssl: { rejectUnauthorized: false } }
const wrapped = (first, second) => typeof first === 'string' ? postgres(first, { ...tls, ...second }) : postgres({ ...tls, ...first })
export default Object.assign(wrapped, postgres)
"""


def run_suite(suites: pathlib.Path, address: Address, postgres, out: pathlib.Path, only: list[str]) -> Outcome:
    source = suites / "postgres-js"
    if not (source / "tests/index.js").exists():
        raise NotHere(str(source))
    fresh_database(postgres, _DATABASE)
    with postgres.connect(dbname="postgres") as admin:
        for role, encryption in ((_DATABASE, None), (f"{_DATABASE}_md5", "md5"), (f"{_DATABASE}_scram", "scram-sha-256")):
            if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                if encryption:
                    admin.execute(f"SET password_encryption = '{encryption}'")
                admin.execute(f"CREATE ROLE {role} LOGIN" + (f" PASSWORD '{role}'" if encryption else ""))
        admin.execute(f"ALTER DATABASE {_DATABASE} OWNER TO {_DATABASE}")
    work = out / "postgres-js"
    shutil.rmtree(work, ignore_errors=True)
    for name in ("src", "tests"):
        shutil.copytree(source / name, work / name)
    shutil.copy(source / "package.json", work)
    (work / "tests/bootstrap.js").write_text("export function exec() {}\n")
    (work / "tests/test.js").write_text(_HARNESS)
    index = work / "tests/index.js"
    for here in ("@localhost:5432/", "socket.connect(5432)"):   # tests that name PostgreSQL's usual port
        index.write_text(index.read_text().replace(here, here.replace("5432", str(address.port))))
    if address.tls:
        (work / "src/index.js").rename(work / "src/plain.js")
        (work / "src/index.js").write_text(_WITH_TLS)
    log = out / "postgres-js.log"
    environment = address.environment("postgres")
    del environment["PGSSLMODE"], environment["PGDATABASE"]
    run(["node", "tests/index.js"], log=log, timeout=600, cwd=work, env=environment)
    lines = log.read_text(errors="replace").splitlines()
    outcome = dict(json.loads(line.split("\t", 1)[1]) for line in lines if line.startswith("RESULT\t"))
    # a test builds on those before it, so that all are run in any case
    return {test: result for test, result in outcome.items() if not only or test in only}


def baseline(outcome: Outcome, _suites: pathlib.Path) -> Outcome:
    return outcome


__all__ = ["NAME", "run_suite", "same", "baseline"]
