"""Operators: what a DAG does with Globus."""
