"""Benchmarks: how close Palaver comes to a floor that is measured in the same run."""
