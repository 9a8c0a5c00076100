"""Figures of many rounds as one: the median, and how far the rounds lie apart."""

import dataclasses
import statistics


@dataclasses.dataclass(frozen=True)
class Spread:
    """`low` and `high` are the quartiles; of fewer than four values the least and the greatest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Spread | None":
        if not values:
            return None
        if len(values) < 4:
            return cls(statistics.median(values), min(values), max(values))
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


def values(workload: dict, contender: str, figure: str) -> list[float]:
    return [found[figure] for found in workload["rounds"].get(contender, []) if figure in found]


def of_contender(workload: dict, contender: str, figure: str) -> Spread | None:
    return Spread.of(values(workload, contender, figure))


def ratio(workload: dict, contender: str, reference: str, figure: str) -> Spread | None:
    """Of a contender to another, round by round: what was different between rounds falls out."""
    references = {found["round"]: found[figure] for found in workload["rounds"].get(reference, []) if found.get(figure)}
    return Spread.of([found[figure] / references[found["round"]] for found in workload["rounds"].get(contender, [])
                      if figure in found and found["round"] in references])
