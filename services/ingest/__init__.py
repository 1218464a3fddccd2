"""Ingest: takes reports in, keeps them durably, answers with a receipt, and normalises them.

The webhook (`webhook.py`) and the normaliser (`normaliser.py`) meet in the stream of submissions, so a slow normaliser
never makes a reporter wait, and either can run in more copies than the other.
"""
