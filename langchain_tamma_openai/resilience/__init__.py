"""Governors: whether and when a request is sent."""
