"""Metrics with intervals, calibration, decisions, and what a leak is worth."""
