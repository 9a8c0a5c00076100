"""The result of a comparison in words: tables of Markdown, workloads as rows and contenders as columns."""

from collections.abc import Callable

from . import bounds, spread
from .spread import Spread

FIGURES = {
    "cpu_us": "CPU", "rate": "throughput", "p50_ms": "p50", "client_kib": "KiB per idle client", "fairness": "longest wait / median wait",
    "errors": "errors",
}
MANY_CLIENTS = {
    "client_kib": "KiB of memory per idle client", "idle_us": "µs of CPU per second, everybody idle", "login_ms": "ms per login",
    "rate": "transactions per second of 10 active clients", "p50_ms": "their p50, ms", "p99_ms": "their p99, ms",
    "cpu_us": "CPU µs per transaction", "wait_p50_ms": "200 active clients: median wait, ms", "wait_p99_ms": "p99 of the waits, ms",
    "wait_longest_ms": "longest wait, ms", "fairness": "longest wait / median wait", "errors": "idle clients without an answer afterwards",
}


def number(value: float) -> str:
    """Three digits or so, whatever the size."""
    if value == 0:
        return "0"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 0.1 else f"{value:.3f}"


def span(found: Spread) -> str:
    return f"**{found.median:.2f}** ({found.low:.2f}–{found.high:.2f})"


def markdown(result: dict) -> str:
    about = result["about"]
    lines = ["# Comparison", "",
             f"{about['when']}, PostgreSQL {about.get('postgresql', '?')}, Linux {about['kernel']}, {about['processors']} processors. Pool mode "
             f"{about['pool_mode']}" + (f", {about['pool_size']} server connections" if about["pool_mode"] == "transaction" else "")
             + f". {about['rounds']} rounds of {about['seconds']} s, order drawn with seed {about['seed']}.", ""]
    versions = [f"{name} {contender['version']}" for name, contender in result["contenders"].items() if contender.get("version")]
    lines += [f"Versions: {', '.join(versions)}.", ""] if versions else []
    lines += [f"- {remark}" for remark in result["remarks"]] + _notes(result)
    load = [workload for workload in result["workloads"] if not _holds_many(workload)]
    if load:
        lines += ["", "Medians of the rounds; ratios are taken round by round, with their quartiles (of fewer than four rounds: the least and the",
                  "greatest). An A/A contender is a second, identical process: what it differs from 1 by is noise.", ""]
        lines += _table("CPU of the proxy relative to pgbouncer", load, _ratios("cpu_us", "pgbouncer"))
        lines += _table("CPU of the proxy relative to the floor", load, _ratios("cpu_us", "floor"))
        lines += _table("CPU of the proxy, µs per transaction or MB", load, _medians("cpu_us"))
        lines += _table("… of it user + system", load, _split)
        lines += _table("Transactions or MB per second", load, _medians("rate"))
        lines += _table("Throughput relative to pgbouncer", load, _ratios("rate", "pgbouncer"))
        lines += _table("Latency, ms: p50 / p99", load, _pairs("p50_ms", "p99_ms", " / "))
        lines += _table("A login, ms", load, _medians("login_ms"))
        lines += _table("CPU of the whole machine, µs per transaction or MB", load, _medians("machine_us"))
        lines += _table("Peak of resident memory, MiB", load, _medians("peak_kib", 1 / 1024))
    for workload in filter(_holds_many, result["workloads"]):
        lines += _many_clients(workload)
    return "\n".join(lines + _bounds(result)) + "\n"


def _holds_many(workload: dict) -> bool:
    return any("client_kib" in found for rounds in workload["rounds"].values() for found in rounds)


def _notes(result: dict) -> list[str]:
    return [f"- {workload['title']}: {contender} {note}." for workload in result["workloads"]
            for contender, note in workload["notes"].items()]


Cell = Callable[[dict, str], str]


def _medians(figure: str, factor: float = 1.0) -> Cell:
    def cell(workload: dict, contender: str) -> str:
        found = spread.of_contender(workload, contender, figure)
        return number(found.median * factor) if found else ""
    return cell


def _pairs(first: str, second: str, between: str) -> Cell:
    def cell(workload: dict, contender: str) -> str:
        found = [spread.of_contender(workload, contender, figure) for figure in (first, second)]
        return between.join(number(each.median) for each in found) if all(found) else ""
    return cell


def _split(workload: dict, contender: str) -> str:
    """The kernel splits by looking at each tick: true over all rounds, not in a single one."""
    total = spread.of_contender(workload, contender, "cpu_us")
    user, system = (sum(spread.values(workload, contender, figure)) for figure in ("user_us", "system_us"))
    if not total or user + system <= 0:
        return ""
    share = user / (user + system)
    return f"{number(total.median * share)} + {number(total.median * (1 - share))}"


def _ratios(figure: str, reference: str) -> Cell:
    def cell(workload: dict, contender: str) -> str:
        found = spread.ratio(workload, contender, reference, figure)
        return "1" if contender == reference and found else span(found) if found else ""
    return cell


def _table(title: str, workloads: list[dict], cell: Cell) -> list[str]:
    """A table of the workloads and contenders that have such a figure."""
    names = list(dict.fromkeys(contender for workload in workloads for contender in workload["rounds"]))
    rows = {workload["title"]: [cell(workload, name) for name in names] for workload in workloads}
    rows = {title: cells for title, cells in rows.items() if any(cells)}
    kept = [index for index in range(len(names)) if any(cells[index] for cells in rows.values())]
    if not rows:
        return []
    return [f"## {title}", "", "| | " + " | ".join(names[index] for index in kept) + " |", "|---" * (len(kept) + 1) + "|",
            *(f"| {row} | " + " | ".join(cells[index] for index in kept) + " |" for row, cells in rows.items()), ""]


def _many_clients(workload: dict) -> list[str]:
    names = list(workload["rounds"])
    lines = [f"## {workload['title'][0].upper()}{workload['title'][1:]}", "", "| | " + " | ".join(names) + " |",
             "|---" * (len(names) + 1) + "|"]
    for figure, title in MANY_CLIENTS.items():
        cells = [_medians(figure)(workload, name) for name in names]
        if any(cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _bounds(result: dict) -> list[str]:
    lines = []
    for finding in bounds.judge(result):
        bound = finding.bound
        what = FIGURES[bound.figure] + (f" to {bound.against}" if bound.against else "")
        verdict = ("holds" if finding.holds else "**does not hold**") + ("" if finding.is_clear else ", within the spread")
        lines.append(f"| {finding.title} | {finding.contender} | {what} | {'≥' if bound.at_least else '≤'} {bound.limit:g} | "
                     f"{span(finding.found)} | {span(finding.twin) if finding.twin else ''} | {verdict} |")
    if not lines:
        return []
    return ["## What Tidegate wants to hold", "", "| workload | | | bound | found | A/A | |", "|---" * 7 + "|", *lines, ""]
