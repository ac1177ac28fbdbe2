"""Globus Auth: tokens for clients and people, who they are, and what they may."""
