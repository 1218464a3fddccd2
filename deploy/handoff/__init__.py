"""Handing a case to Bawaslu: the packet for Form A, its chain of hashes, and its printable page."""
