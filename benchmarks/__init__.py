"""Benchmarks of Equipoise, each run as `python -m benchmarks.NAME`; see docs/benchmarks.md."""
