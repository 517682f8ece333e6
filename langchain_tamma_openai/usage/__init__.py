"""Observers: what a call used and what it cost."""
