"""The application whose tables are migrated: reads and writes all the time, and remembers how long it had to wait."""

import threading
import time

import psycopg

CUSTOMERS = 2_000


def fill(connection: psycopg.Connection, rows: int):
    """Gives the tables of the first migration their rows."""
    connection.execute(f"INSERT INTO customers (name) SELECT 'customer ' || n FROM generate_series(1, {CUSTOMERS}) n")
    connection.execute("INSERT INTO orders (customer_id, amount, note, placed_at, legacy) SELECT n % 2000 + 1, n % 1000, 'note ' || n, "
                       f"timestamptz '2024-01-01' + n * interval '1 minute', 'x' FROM generate_series(1, {rows}) n")


class Application:
    """A thread that reads and writes single orders. Names no column that a migration takes away."""

    def __init__(self, address: dict, rows: int):
        self._address = address | {"application_name": "shop"}
        self._rows = rows
        self._ends = threading.Event()
        self._waits: list[tuple[float, float]] = []   # when a statement was answered, how long it took
        self.errors: list[str] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self):
        self._ends.set()
        self._thread.join()

    def worst(self, since: float) -> float:
        """The longest wait, in seconds, of a statement answered after `since` (time.monotonic)."""
        return max((wait for at, wait in list(self._waits) if at >= since), default=0.0)

    @property
    def statements(self) -> int:
        return len(self._waits)

    def _run(self):
        order = 0
        while not self._ends.is_set():
            try:
                with psycopg.connect(**self._address, autocommit=True) as connection:
                    while not self._ends.wait(0.002):
                        order = (order + 7919) % self._rows + 1
                        for sql in ("SELECT id, amount FROM orders WHERE id = %s", "UPDATE orders SET amount = amount + 1 WHERE id = %s",
                                    "SELECT count(name) FROM customers WHERE id = %s"):
                            began = time.monotonic()
                            connection.execute(sql, (order,))
                            ended = time.monotonic()
                            self._waits.append((ended, ended - began))
            except psycopg.Error as error:
                self.errors.append(f"{error.sqlstate} {error}".replace("\n", " "))
