"""The side-by-side comparison: contenders, workloads, rounds, report. See bench/README.md."""
