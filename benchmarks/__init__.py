"""What the provider and its sandbox cost, measured side by side in one run: ``make bench``."""
