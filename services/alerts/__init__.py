"""Alerts: decides which region is flagged, and tells the officers who must know."""
