"""The chaos suite: breaks the running system in every way that is foreseen, and counts every receipt.

`python -m tests.chaos` (or `make chaos`) runs all of it and prints a table; `test_chaos.py` is its short form.
"""
