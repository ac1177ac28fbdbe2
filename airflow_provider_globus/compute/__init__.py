"""How functions and their arguments travel to Globus Compute, and how results come back."""
