"""The migration tools: how each is called, and what it writes down about what it has done."""

import dataclasses
import pathlib
import subprocess

FOLDER = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Tool:
    """A tool with its project in the folder of its name: configuration, migrations as one writes them, and under as_hinted/ those
    files again, under the same names, that a HINT of the gateway asks to be written otherwise."""

    name: str
    title: str
    migrations: str                        # the folder that the tool reads, inside of the project
    version: list[str]                     # a command
    up: list[str]                          # carries out what is pending
    down: list[str] | None                 # takes the last migration back; {previous}: the name of the one before. None: the tool can't
    records: str                           # a query: the names of what it takes for done
    recorded_in: str                       # the relation that this asks
    up_outside: tuple[str, ...] = ()       # further arguments for migrations outside a transaction
    down_outside: tuple[str, ...] = ()
    zero: str = ""                         # {previous} of the first one
    of_node: bool = False

    @property
    def project(self) -> pathlib.Path:
        return FOLDER / self.name

    def files(self) -> list[str]:
        """The migrations in their order."""
        return sorted(file.name for file in (self.project / self.migrations).iterdir() if file.is_file() and not file.name.startswith("__"))


def _node(program: str) -> str:
    return f"node_modules/.bin/{program}"


def _version(package: str) -> list[str]:
    return ["node", "-p", f"JSON.parse(fs.readFileSync('node_modules/{package}/package.json')).version"]


_PYTHON = "/usr/bin/python3"
_KNEX, _TYPEORM, _SEQUELIZE, _NODE_PG_MIGRATE = _node("knex"), _node("typeorm"), _node("sequelize-cli"), _node("node-pg-migrate")

TOOLS = {tool.name: tool for tool in (
    Tool("django", "Django", "shop/migrations", [_PYTHON, "-m", "django", "--version"],
         [_PYTHON, "manage.py", "migrate", "--no-input"], [_PYTHON, "manage.py", "migrate", "shop", "{previous}"],
         "SELECT name FROM django_migrations WHERE app = 'shop'", "django_migrations", zero="zero"),
    Tool("alembic", "Alembic", "versions", ["alembic", "--version"],
         ["alembic", "upgrade", "head"], ["alembic", "downgrade", "-1"],
         "SELECT version_num FROM alembic_version", "alembic_version"),
    Tool("rails", "Rails", "db/migrate", ["ruby", "bin/rails", "--version"],
         ["ruby", "bin/rails", "db:migrate"], ["ruby", "bin/rails", "db:rollback"],
         "SELECT version FROM schema_migrations", "schema_migrations"),
    Tool("node-pg-migrate", "node-pg-migrate", "migrations", _version("node-pg-migrate"),
         [_NODE_PG_MIGRATE, "up"], [_NODE_PG_MIGRATE, "down"],
         "SELECT name FROM pgmigrations", "pgmigrations", of_node=True),
    Tool("knex", "Knex", "migrations", _version("knex"),
         [_KNEX, "migrate:latest"], [_KNEX, "migrate:down"],
         "SELECT name FROM knex_migrations", "knex_migrations", of_node=True),
    Tool("typeorm", "TypeORM", "migrations", _version("typeorm"),
         [_TYPEORM, "migration:run", "-d", "data-source.js"], [_TYPEORM, "migration:revert", "-d", "data-source.js"],
         "SELECT name FROM migrations", "migrations",
         up_outside=("--transaction", "each"), down_outside=("--transaction", "none"), of_node=True),
    Tool("sequelize", "Sequelize", "migrations", _version("sequelize"),
         [_SEQUELIZE, "db:migrate"], [_SEQUELIZE, "db:migrate:undo"],
         'SELECT name FROM "SequelizeMeta"', '"SequelizeMeta"', of_node=True),
    Tool("drizzle", "drizzle", "migrations", _version("drizzle-orm"),
         [_node("drizzle-kit"), "migrate"], None,
         "SELECT created_at::text FROM drizzle.__drizzle_migrations", "drizzle.__drizzle_migrations", of_node=True),
)}


def version_of(tool: Tool, modules: pathlib.Path) -> str:
    """What the tool says of itself; "" when it is not there."""
    try:
        run = subprocess.run(tool.version, capture_output=True, text=True, timeout=60, cwd=modules.parent if tool.of_node else tool.project)
    except FileNotFoundError:
        return ""
    return run.stdout.strip().split()[-1] if run.returncode == 0 and run.stdout.strip() else ""
