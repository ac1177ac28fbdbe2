"""The flow language: definitions checked, and run. Knows no service; what a flow wants done, it asks its host for."""
