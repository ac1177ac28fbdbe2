"""Globus Connect Server's own documents, as plain data: versions, policies, comparison."""
