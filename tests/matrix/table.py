"""The results of scripts/test-matrix as a table for the documentation: a line per server, a column per suite.

    table.py FOLDER SERVERS MAJOR...      FOLDER/MAJOR-SUITE.xml are results of pytest
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.tally import count   # noqa: E402


def main(folder: str, servers: str, *majors: str) -> int:
    results = pathlib.Path(folder)
    versions = dict(line.split() for line in pathlib.Path(servers).read_text().splitlines() if line and not line.startswith("#"))
    suites = sorted({file.stem.split("-", 1)[1] for file in results.glob("*-*.log")})
    print("| PostgreSQL | " + " | ".join(suites) + " |")
    print("| --- |" + " --- |" * len(suites))
    failures = 0
    for major in majors:
        cells = []
        for suite in suites:
            file = results / f"{major}-{suite}.xml"
            passed, failed, skipped = count(file) if file.exists() else (0, 1, 0)
            failures += failed
            cells.append(f"{passed} of {passed + failed}" + (f" ({skipped} skipped)" if skipped else ""))
        print(f"| {'.'.join(versions[major].split('-')[0].split('.')[:2])} | " + " | ".join(cells) + " |")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
