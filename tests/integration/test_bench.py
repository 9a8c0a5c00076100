"""The comparison of bench/load: that it runs, and that its report says what was measured. What it measures here means nothing."""

import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from load import picture, report, spread
from support import gateway, process

ROOT = pathlib.Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.gateway_only


@pytest.fixture
def folder():
    made = process.scratch_folder("test-bench")
    yield made
    process.remove(made)


def test_short_run_measures_the_gateway_beside_the_server_and_leaves_nothing(folder):
    done = subprocess.run([sys.executable, "-m", "load", "--tidegate", gateway.binary(), "--contenders", "direct,tidegate", "--workloads",
                           "select-prepared-8", "--rounds", "1", "--seconds", "1", "--seed", "1", "--out", folder / "out"],
                          env=os.environ | {"PYTHONPATH": f"{ROOT}/bench:{ROOT}/tests", "TMPDIR": str(folder)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (workload,) = json.loads((folder / "out/report.json").read_text())["workloads"]
    (direct,), (measured,) = workload["rounds"]["direct"], workload["rounds"]["tidegate"]
    assert direct["rate"] > 0 and "cpu_us" not in direct
    assert measured["rate"] > 0 and measured["cpu_us"] > 0 and measured["peak_kib"] > 0
    assert 0 < measured["p50_ms"] <= measured["p99_ms"]
    assert "| SELECT prepared, 8 clients |" in (folder / "out/report.md").read_text()
    assert [file.name for file in folder.iterdir()] == ["out"]


def made_up(**changes) -> dict:
    """A result in which Tidegate uses half of PgBouncer's CPU in each of three rounds, whose noise is great."""
    noise = (1.0, 3.0, 2.0)
    workload = {"name": "select-prepared-8", "title": "SELECT prepared, 8 clients", "unit": "transaction", "notes": {}, "rounds": {
        "pgbouncer": [{"round": r, "rate": 100.0, "cpu_us": 20.0 * n} for r, n in enumerate(noise)],
        "tidegate": [{"round": r, "rate": 120.0, "cpu_us": 10.0 * n} for r, n in enumerate(noise)]}}
    about = {"when": "", "kernel": "", "processors": 2, "pool_mode": "session", "rounds": 3, "seconds": 1, "seed": 1}
    contenders = {"pgbouncer": {"kind": "PgBouncer"},
                  "tidegate": {"kind": "Tidegate", "pool_mode": "session", "relay": None, "by_socket": False, "threads": 1}}
    return {"about": about, "remarks": [], "contenders": contenders, "workloads": [workload | changes]}


def test_ratios_are_taken_round_by_round():
    (workload,) = made_up()["workloads"]
    assert spread.ratio(workload, "tidegate", "pgbouncer", "cpu_us") == spread.Spread(0.5, 0.5, 0.5)
    del workload["rounds"]["pgbouncer"][1]
    assert spread.ratio(workload, "tidegate", "pgbouncer", "rate") == spread.Spread(1.2, 1.2, 1.2)
    assert spread.ratio(workload, "tidegate", "haproxy", "rate") is None


def test_four_rounds_have_quartiles_and_three_their_ends():
    assert spread.Spread.of([1.0, 9.0, 2.0]) == spread.Spread(2.0, 1.0, 9.0)
    assert spread.Spread.of([1.0, 2.0, 3.0, 100.0]) == spread.Spread(2.5, 1.75, 27.25)


def test_report_judges_by_the_bounds_and_tells_notes():
    text = report.markdown(made_up(notes={"pgbouncer": "in session mode"}))
    assert "| CPU to pgbouncer | ≤ 0.75 | **0.50** (0.50–0.50) |  | holds |" in text
    assert "- SELECT prepared, 8 clients: pgbouncer in session mode." in text


def test_picture_is_well_formed_and_empty_without_anybody_to_compare_with():
    root = xml.etree.ElementTree.fromstring(picture.svg(made_up()))
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 3   # the legend, CPU, throughput
    nobody = made_up() | {"contenders": {}, "workloads": []}
    assert not xml.etree.ElementTree.fromstring(picture.svg(nobody)).findall("{http://www.w3.org/2000/svg}circle")
