"""One tool against one target: every migration up and down under load, and one migration by two processes at once.

Each migration is tried as the tool's users write it. Where that is refused, it is put in the form of as_hinted/, which is what the HINT
says, and tried again; that the second attempt finds everything in order is part of what is tried.
"""

import dataclasses
import pathlib
import re
import subprocess
import time

import psycopg

from support import process
from support.postgres import Postgres
from support.target import Target

from .application import Application, fill
from .deployment import AS_HINTED, AS_WRITTEN, Deployment
from .tool import Tool

LONGEST = 180                      # seconds that a tool may take
TYPE_CHANGE = 10                   # the migration that has no online form: taken back where it went through
FOR_TWO = 5                        # the migration that two processes run at once
ROWS_FOR_TWO = 20_000


@dataclasses.dataclass
class Attempt:
    migration: str     # without number and suffix
    direction: str     # up or down
    form: str          # as written, as the HINT says
    succeeded: bool
    manner: str        # as it is, guarded, rewritten, in steps, overridden
    sqlstate: str      # of the refusal; "" where the tool itself refused, or nobody did
    message: str       # of the refusal
    shows_hint: bool   # the tool's output has the HINT of the refusal
    in_order: bool     # done and written down, or neither
    seconds: float
    stall: float       # the longest wait, in seconds, of the application meanwhile

    @property
    def outcome(self) -> str:
        if self.succeeded:
            return self.manner
        return f"refused ({self.sqlstate})" if self.sqlstate else "refused by the tool"


@dataclasses.dataclass
class Result:
    attempts: list[Attempt] = dataclasses.field(default_factory=list)
    schema_up: str = ""              # pg_dump behind the last migration that every target can carry out
    schema_down: str = ""            # and when all is taken back
    two: list[str] = dataclasses.field(default_factory=list)   # what came of two processes, sorted
    two_in_order: bool = False
    statements: int = 0              # of the application
    errors: list[str] = dataclasses.field(default_factory=list)

    def of(self, migration: str, direction: str, form: str) -> Attempt | None:
        return next((a for a in self.attempts if (a.migration, a.direction, a.form) == (migration, direction, form)), None)


def dump(postgres: Postgres, database: str) -> str:
    """The schema as pg_dump writes it, without the gateway's own."""
    text = subprocess.run([postgres.binaries / "pg_dump", "--schema-only", "--exclude-schema=tidegate", "-h", postgres.host, "-p", str(postgres.port),
                           "-U", "postgres", database], check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)


class Trial:
    def __init__(self, tool: Tool, target: Target, postgres: Postgres, witness, waiting, modules: pathlib.Path, out: pathlib.Path, rows: int):
        """`witness` tells what became of statements, `waiting` how many schema changes wait now; outputs of the tool go to `out`."""
        self.tool = tool
        self.target = target
        self.postgres = postgres
        self.witness = witness
        self.waiting = waiting
        self.modules = modules
        self.out = out
        self.rows = rows
        self.result = Result()
        self.application: Application | None = None
        out.mkdir(parents=True, exist_ok=True)

    def run(self) -> Result:
        with self._database("migrations") as address, self._deployment(address) as deployment:
            try:
                self._walk(deployment, address)
            finally:
                self._stop_application()
        with self._database("two") as address, self._deployment(address) as deployment:
            self._two_at_once(deployment, address)
        return self.result

    # -- one after the other -----------------------------------------------------------------------------------------

    def _walk(self, deployment: Deployment, address: dict):
        last = len(deployment.files)
        done = []
        for number in range(1, last + 1):
            if number == TYPE_CHANGE:
                self.result.schema_up = dump(self.postgres, address["dbname"])
            if self._migrate(deployment, number, "up", address):
                done.append(number)
            else:
                deployment.withdraw(number)
            if number == 1:
                with psycopg.connect(**address, application_name="shop", autocommit=True) as shop:
                    fill(shop, self.rows)
                    shop.execute("ANALYZE")
                self.application = Application(address, self.rows)
        if not self.tool.down:
            return
        for number in reversed(done):
            if number == 1:
                self._stop_application()   # its tables go
            if not self._migrate(deployment, number, "down", address):
                return
            deployment.withdraw(number)
        self.result.schema_down = dump(self.postgres, address["dbname"])

    def _migrate(self, deployment: Deployment, number: int, direction: str, address: dict) -> bool:
        """Tries one migration in its forms: whether it went through in one of them."""
        for form in (AS_WRITTEN, AS_HINTED):
            if form == AS_HINTED and not deployment.has_hinted(number):
                return False
            deployment.deploy(number, form)
            if self._attempt(deployment, number, direction, form, address).succeeded:
                return True
        return False

    def _attempt(self, deployment: Deployment, number: int, direction: str, form: str, address: dict) -> Attempt:
        name = deployment.files[number - 1].split(".")[0].lstrip("0123456789_")
        name = re.sub(r"_(to|of)_orders$", "", name)
        log = self.out / f"{number:02}-{name}-{direction}-{form.replace(' ', '-')}.log"
        recorded, schema = self._recorded(address), dump(self.postgres, address["dbname"])
        mark, began = self.witness.mark(), time.monotonic()
        run = deployment.start(deployment.up() if direction == "up" else deployment.down(), log)
        try:
            code = run.wait(LONGEST)
        except subprocess.TimeoutExpired:
            run.kill()
            code = run.wait()
        seconds = time.monotonic() - began
        stall = self.application.worst(began) if self.application else 0.0
        account = self.witness.since(mark)
        now, schema_now = self._recorded(address), dump(self.postgres, address["dbname"])
        if code == 0 and now != recorded:
            more, fewer = (now, recorded) if direction == "up" else (recorded, now)
            in_order = len(more - fewer) == 1 and schema_now != schema
            in_order = in_order and (self.tool.name == "alembic" or not fewer - more)   # which has one name, of the last
        else:
            # what the tool keeps for itself may have been made at its first start
            in_order = now == recorded and (schema_now == schema or number == 1)
        succeeded = code == 0 and now != recorded
        attempt = Attempt(name, direction, form, succeeded, account.manner, "" if succeeded else account.sqlstate, "" if succeeded else account.message,
                          not succeeded and bool(re.search(r"\bhint\b", log.read_text(errors="replace"), re.IGNORECASE)), in_order, seconds, stall)
        self.result.attempts.append(attempt)
        print(f"    {name} {direction}, {form}: {attempt.outcome}{'' if in_order else ', NOT IN ORDER'} ({seconds:.1f} s, worst wait {stall * 1e3:.0f} ms)",
              flush=True)
        return attempt

    # -- two at once -------------------------------------------------------------------------------------------------

    def _two_at_once(self, deployment: Deployment, address: dict):
        """Both are let go on together once each has either ended or waits for the table."""
        def form(number: int) -> str:
            return AS_HINTED if number > 1 and deployment.has_hinted(number) else AS_WRITTEN

        for number in range(1, FOR_TWO):
            deployment.deploy(number, form(number))
        first = deployment.start(deployment.up(), self.out / "two-before.log")
        if first.wait(LONGEST) != 0:
            self.result.two = ["the migrations before it failed"]
            return
        with psycopg.connect(**address, application_name="shop", autocommit=True) as shop:
            fill(shop, ROWS_FOR_TWO)
        deployment.deploy(FOR_TWO, form(FOR_TWO))
        logs = [self.out / f"two-{which}.log" for which in (1, 2)]
        with self.postgres.connect(dbname=address["dbname"]) as blocker:
            blocker.execute("BEGIN; LOCK TABLE orders IN ROW EXCLUSIVE MODE")
            runs = [deployment.start(deployment.up(), log) for log in logs]
            process.wait_until(lambda: sum(run.poll() is not None for run in runs) + self.waiting(address["dbname"]) >= 2, timeout=LONGEST,
                               what=f"both have ended or wait ({self.out})")
            blocker.execute("ROLLBACK")
        codes = [run.wait(LONGEST) for run in runs]
        self.result.two = sorted("done" if code == 0 else _reason(log.read_text(errors="replace")) for code, log in zip(codes, logs))
        constraints = self.postgres.execute("SELECT count(*) FROM pg_constraint WHERE conname = 'amount_not_negative' AND convalidated", address["dbname"])
        self.result.two_in_order = constraints == [(1,)] and len(self._recorded(address)) == (1 if self.tool.name == "alembic" else FOR_TWO)
        print(f"    two at once: {' / '.join(self.result.two)}{'' if self.result.two_in_order else ', NOT IN ORDER'}", flush=True)

    # -- what they need ----------------------------------------------------------------------------------------------

    def _recorded(self, address: dict) -> set[str]:
        if not self.postgres.execute("SELECT to_regclass(%s)", address["dbname"], (self.tool.recorded_in,))[0][0]:
            return set()
        return {row[0] for row in self.postgres.execute(self.tool.records, address["dbname"])}

    def _stop_application(self):
        if self.application:
            self.application.stop()
            self.result.statements = self.application.statements
            self.result.errors = self.application.errors
            self.application = None

    def _database(self, name: str):
        return _Database(self.postgres, self.target, f"tools_{name}")

    def _deployment(self, address: dict):
        return _Closing(Deployment(self.tool, self.modules, address))


class _Database:
    def __init__(self, postgres: Postgres, target: Target, name: str):
        self._postgres = postgres
        self._target = target
        self._name = name

    def __enter__(self) -> dict:
        self._postgres.execute(f"CREATE DATABASE {self._name} OWNER app", "postgres")
        return {"host": self._target.host, "port": self._target.port, "user": "app", "dbname": self._name}

    def __exit__(self, *_):
        self._postgres.drop_database(self._name)


class _Closing:
    def __init__(self, deployment: Deployment):
        self._deployment = deployment

    def __enter__(self) -> Deployment:
        return self._deployment

    def __exit__(self, *_):
        self._deployment.close()


def _reason(output: str) -> str:
    """The line of a tool's output that says why it failed."""
    output = re.sub(r"\x1b\[[\d;]*[A-Za-z]", "\n", output)   # drizzle draws while it works
    said = [line.strip() for line in output.splitlines() if re.search(r"already exists|already running|locked|ConcurrentMigration|could not", line)]
    return said[0][:160] if said else (output.strip().splitlines() or ["no output"])[-1][:160]
