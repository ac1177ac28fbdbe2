"""Sensors: waiting for what others do with Globus."""
