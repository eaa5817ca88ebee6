"""Our own rules, each born from a fault that showed itself; `python -m tools.lints` runs them."""
