"""Adds up the results of several test programs.

    tally.py FOLDER NAME...

Reads FOLDER/NAME.xml (JUnit's form, which GoogleTest and pytest both write) for each NAME and prints, as the last
line, "N passed, N failed" and the skipped ones if there are any. A program without a result file crashed before its end: that
is a failure, and so is a bad exit (FOLDER/NAME.failed) with no failed test in it.
"""

import pathlib
import sys
import xml.etree.ElementTree as xml


def count(result: pathlib.Path) -> tuple[int, int, int]:
    """Passed, failed, skipped of one result file."""
    passed = failed = skipped = 0
    for case in xml.parse(result).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def main(folder: str, *names: str) -> int:
    totals = [0, 0, 0]
    for name in names:
        result = pathlib.Path(folder, name + ".xml")
        try:
            counts = list(count(result))
        except (FileNotFoundError, xml.ParseError):
            print(f"{name}: ended without a result")
            counts = [0, 1, 0]
        if counts[1] == 0 and pathlib.Path(folder, name + ".failed").exists():
            print(f"{name}: no test failed, and yet it ended badly")
            counts[1] = 1
        totals = [a + b for a, b in zip(totals, counts)]
    passed, failed, skipped = totals
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
