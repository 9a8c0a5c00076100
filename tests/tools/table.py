"""The results as tables: a line per migration, a column per tool."""

import json
import pathlib


def write(out: pathlib.Path) -> int:
    """Writes results.json and results.md of all tools that were ever run: 1 when one of their promises is broken."""
    tools = {file.parent.name: json.loads(file.read_text()) for file in sorted((out / "results").glob("*/result.json"))}
    broken = [f"{each['tool']}: {fault}" for each in tools.values() for fault in faults(each["results"])]
    (out / "results.json").write_text(json.dumps({"tools": tools, "broken": broken}, indent=1))
    text = "\n".join(_lines(list(tools.values()))) + "\n"
    (out / "results.md").write_text(text)
    print(text)
    for line in broken:
        print(f"BROKEN {line}")
    return 1 if broken else 0


def faults(results: dict) -> list[str]:
    """What must not be: errors of the application, half done migrations, another schema or another end of two at once than directly."""
    direct = results["direct"]
    found = []
    for name, result in results.items():
        if name == "direct":   # where a type change that goes through breaks prepared statements, and nobody claims otherwise
            continue
        found += [f"{name}: the application got {error}" for error in result["errors"][:3]]
        found += [f"{name}: {a['migration']} {a['direction']} ({a['form']}) left something by halves" for a in result["attempts"] if not a["in_order"]]
        if not result["two_in_order"]:
            found.append(f"{name}: two at once: {' / '.join(result['two'])}")
        for moment in ("schema_up", "schema_down"):
            if result[moment] != direct[moment]:
                found.append(f"{name}: another {moment.replace('_', ' ')} than directly")
        if result["two"].count("done") != direct["two"].count("done"):
            found.append(f"{name}: two at once end otherwise than directly: {' / '.join(result['two'])}")
        found += [f"{name}: {migration} {direction} goes through in no form" for migration, direction in _stuck(result)]
    return found


def _stuck(result: dict) -> list[tuple[str, str]]:
    """Migrations that have an online form and yet did not go through."""
    tried = {(a["migration"], a["direction"]) for a in result["attempts"]}
    done = {(a["migration"], a["direction"]) for a in result["attempts"] if a["succeeded"]}
    return sorted(pair for pair in tried - done if pair[0] != "change_type")


def _lines(tools: list[dict]) -> list[str]:
    names = [f"{each['tool']} {each['version']}" for each in tools]
    lines = ["| migration | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(tools)]
    order: dict[tuple[str, str], None] = {}
    for each in sorted(tools, key=lambda each: -len(each["results"]["direct"]["attempts"])):
        for attempt in _gateway(each)["attempts"]:
            order.setdefault((attempt["migration"], attempt["direction"]))
    for direction in ("up", "down"):
        for migration, of in order:
            if of == direction:
                lines.append(f"| {direction}: {migration.replace('_', ' ')} | " + " | ".join(_cell(_gateway(each), migration, direction) for each in tools) + " |")
    lines.append("| two processes at once | " + " | ".join(f"{_gateway(each)['two'].count('done')} of 2 go through" for each in tools) + " |")
    lines.append("| the same directly | " + " | ".join(f"{each['results']['direct']['two'].count('done')} of 2" for each in tools) + " |")
    lines.append("| longest wait of the application | " + " | ".join(f"{_worst(_gateway(each)):.0f} ms" for each in tools) + " |")
    lines.append("| the same directly | " + " | ".join(f"{_worst(each['results']['direct']):.0f} ms" for each in tools) + " |")
    lines.append("| its statements, its errors | " + " | ".join(f"{_gateway(each)['statements']:,}, {len(_gateway(each)['errors'])}" for each in tools) + " |")
    return lines


def _gateway(each: dict) -> dict:
    """Of a transaction pool, where both were run."""
    through = {name: result for name, result in each["results"].items() if name != "direct"}
    return through.get("transaction") or next(iter(through.values()))


def _worst(result: dict) -> float:
    return max((a["stall"] for a in result["attempts"]), default=0.0) * 1e3


def _cell(result: dict, migration: str, direction: str) -> str:
    attempts = [a for a in result["attempts"] if (a["migration"], a["direction"]) == (migration, direction)]
    said = [a["manner"] if a["succeeded"] else a["sqlstate"] or "refused by the tool" for a in attempts]
    return " → ".join(said) or "–"
