"""Benchmarks, run by `make bench`: tables and ratios, each measured in one run."""
