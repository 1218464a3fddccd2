"""From an Indonesian text to the region it tells of, by Kemendagri's codes."""

from shared.regions.resolver import RegionResolver

__all__ = ["RegionResolver"]
