"""The Flows service: definitions, runs, their logs, and people's answers to what a flow asks."""
