"""Benchmarks: `make bench`. They print tables and ratios measured in one run; no test times them."""
