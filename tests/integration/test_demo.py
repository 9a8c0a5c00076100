"""`tidegate demo`: the story it tells, and that nothing of it is left, however it ends."""

import os
import pathlib
import re
import signal
import subprocess
import time

import psycopg
import pytest

from support import process
from support.gateway import binary

pytestmark = pytest.mark.gateway_only


class Demo:
    """A demo that runs, with a folder of its own for its temporary files."""

    def __init__(self, folder: pathlib.Path, *arguments: str):
        self.folder = folder
        self.output = folder / "output"
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.temporary.chmod(0o755)
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [binary(), "demo", *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                env=os.environ | {"TMPDIR": str(self.temporary)})

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, words: str, timeout: float = 60):
        process.wait_until(lambda: words in self.text() or self.process.poll() is not None, timeout=timeout, what=f"the demo says {words!r}")
        assert words in self.text(), self.text()

    def end(self, number: int) -> int | None:
        return process.end(self.process, number, timeout=30)

    def remains(self) -> list[str]:
        """Files in its folder, and processes that mention it."""
        found = [str(path) for path in self.temporary.rglob("*")]
        for line in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = line.read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            if str(self.temporary).encode() in words:
                found.append(words.replace(b"\0", b" ").decode())
        return found


@pytest.fixture
def start():
    folders, demos = [], []

    def make(*arguments: str) -> Demo:
        folders.append(process.scratch_folder("demo-test"))
        demos.append(Demo(folders[-1], *arguments))
        return demos[-1]

    yield make
    for demo in demos:
        process.end(demo.process, signal.SIGKILL, timeout=10)
    for folder in folders:
        process.remove(folder)


@pytest.mark.slow
def test_story_is_told_and_nothing_is_left(start):
    demo = start()
    began = time.monotonic()
    assert demo.process.wait(120) == 0, demo.text()
    text = demo.text()
    assert time.monotonic() - began < 60
    # 1: the steps as psql shows them
    assert "carried out in 2 steps" in text and "ALTER TABLE orders VALIDATE CONSTRAINT total_positive" in text
    assert "the application's worst wait" in text
    # 2: who is waited for, and both waits
    assert re.search(r"NOTICE:  waiting: pid \d+ app=nightly report", text)
    directly, guarded = (int(re.search(rf"{way} .* ([\d,]+) ms\n", text)[1].replace(",", "")) for way in ("directly", "through Tidegate"))
    assert directly > 2000 and guarded < directly / 5, text
    # 3 and 4
    assert "carried out with CONCURRENTLY" in text and "\n   CREATE INDEX\n" in text
    assert 'ddl_statements_total{rule="add-check-validating",action="plan",database="shop"} 1\n' in text
    assert 'ddl_statements_total{rule="create-index-not-concurrently",action="rewrite",database="shop"} 1\n' in text
    assert "README" in text
    assert "\x1b" not in text and max(map(len, text.splitlines())) < 100
    assert "Sanitizer" not in text
    assert demo.remains() == []


@pytest.mark.slow
@pytest.mark.parametrize("number, words", [(signal.SIGINT, "starting a throwaway"), (signal.SIGTERM, "filling the table"),
                                           (signal.SIGINT, "the same through Tidegate")])
def test_signal_in_the_middle_leaves_nothing(start, number, words):
    demo = start()
    demo.wait_for(words)
    assert demo.end(number) == 0, demo.text()
    assert demo.remains() == []
    assert "nothing is left behind" in demo.text()
    assert "To go on" not in demo.text() and "Sanitizer" not in demo.text()


@pytest.mark.slow
def test_kept_servers_can_be_used_until_the_end(start):
    demo = start("--keep")
    demo.wait_for("audit log")
    through, directly = re.findall(r"postgresql://\S+", demo.text())
    with psycopg.connect(through, autocommit=True) as client:
        with pytest.raises(psycopg.Error) as refused:
            client.execute("ALTER TABLE orders ALTER COLUMN total TYPE bigint")
        assert refused.value.diag.sqlstate == "TG001"
        assert client.execute("SELECT count(*) FROM orders").fetchone() == (500_000,)
    psycopg.connect(directly).close()
    # neither way leads to the superuser
    for uri in (through, directly):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(uri.replace("ann@", "postgres@"))
    assert demo.end(signal.SIGINT) == 0, demo.text()
    assert demo.remains() == []


def test_unknown_option_is_a_usage_error():
    assert subprocess.run([binary(), "demo", "--unknown"], capture_output=True).returncode == 2
