"""Submissions sealed at rest: the keys (`keys.py`) and the envelope that the bytes of a submission travel in."""
