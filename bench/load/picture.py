"""The result of a comparison as a picture (SVG): for each workload where the contenders stand, with PgBouncer (or else the floor) at 1."""

import html
import math

from . import spread
from .spread import Spread

COLOURS = {"direct": "#888888", "floor": "#7a5195", "haproxy": "#ef8a17", "pgbouncer": "#2f6db5", "tidegate": "#c8202f"}
MORE_COLOURS = ("#14866d", "#b0388f", "#5b7f00", "#7d4a19")
LEFT, PANEL, GAP, ROW, TOP = 350, 420, 80, 30, 110
LEAST, MOST = 1 / 16, 16.0   # of the scale, which is logarithmic; what lies beyond stands at its edge


def svg(result: dict) -> str:
    reference = next((name for name in ("pgbouncer", "floor") if name in result["contenders"]), "")
    workloads = [workload for workload in result["workloads"] if reference in workload["rounds"]
                 and any("cpu_us" in found and "client_kib" not in found for found in workload["rounds"][reference])]
    names = list(dict.fromkeys(name for workload in workloads for name in workload["rounds"] if name != reference))
    colours = _colours(names)
    height = TOP + ROW * len(workloads) + 50
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + 2 * PANEL + GAP + 40}" height="{height}" '
             'font-family="sans-serif" font-size="13">', '<rect width="100%" height="100%" fill="white"/>']
    parts += _legend(names, colours)
    for index, (title, figure) in enumerate((("CPU of the proxy (left is better)", "cpu_us"), ("Throughput (right is better)", "rate"))):
        x = LEFT + index * (PANEL + GAP)
        parts.append(_text(x + PANEL / 2, TOP - 30, f"{title}, {reference} = 1", anchor="middle", weight="bold"))
        parts += _scale(x, height)
        for row, workload in enumerate(workloads):
            y = TOP + ROW * row + ROW / 2
            shown = [(name, found) for name in names if (found := spread.ratio(workload, name, reference, figure)) and found.median > 0]
            for place, (name, found) in enumerate(shown):
                parts += _mark(x, y + (place - (len(shown) - 1) / 2) * 4, found, colours[name], name)
    for row, workload in enumerate(workloads):
        parts.append(_text(LEFT - 12, TOP + ROW * row + ROW / 2 + 4, workload["title"], anchor="end"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _colours(names: list[str]) -> dict[str, str]:
    """A twin has the colour of what it is a twin of."""
    chosen, more = {}, 0
    for name in names:
        plain = name.removesuffix(" (A/A)")
        if plain not in COLOURS:
            chosen[name] = MORE_COLOURS[more % len(MORE_COLOURS)]
            more += 1
        else:
            chosen[name] = COLOURS[plain]
    return chosen


def _place(x: float, value: float) -> float:
    share = math.log(min(max(value, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return x + share * PANEL


def _scale(x: float, height: float) -> list[str]:
    parts = []
    value = LEAST
    while value <= MOST:
        at = _place(x, value)
        parts.append(f'<line x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{height - 50}" stroke="{"#444444" if value == 1 else "#dddddd"}"/>')
        parts.append(_text(at, height - 32, f"{value:g}", anchor="middle"))
        value *= 2
    return parts


def _mark(x: float, y: float, found: Spread, colour: str, name: str) -> list[str]:
    """The median as a dot on the line of the quartiles; of a twin the dot is hollow."""
    inside = "white" if name.endswith("(A/A)") else colour
    title = html.escape(f"{name}: {found.median:.2f} ({found.low:.2f}–{found.high:.2f})")
    return [f'<line x1="{_place(x, found.low):.1f}" y1="{y:.1f}" x2="{_place(x, found.high):.1f}" y2="{y:.1f}" stroke="{colour}" '
            'stroke-opacity="0.5" stroke-width="2"/>',
            f'<circle cx="{_place(x, found.median):.1f}" cy="{y:.1f}" r="4" fill="{inside}" stroke="{colour}" stroke-width="1.5">'
            f"<title>{title}</title></circle>"]


def _legend(names: list[str], colours: dict[str, str]) -> list[str]:
    parts, x, y = [], 20, 24
    for name in names:
        inside = "white" if name.endswith("(A/A)") else colours[name]
        parts.append(f'<circle cx="{x}" cy="{y}" r="5" fill="{inside}" stroke="{colours[name]}" stroke-width="1.5"/>')
        parts.append(_text(x + 12, y + 4, name))
        x += 40 + 8 * len(name)
        if x > LEFT + PANEL * 2 - 60:
            x, y = 20, y + 22
    return parts


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{html.escape(text)}</text>'
