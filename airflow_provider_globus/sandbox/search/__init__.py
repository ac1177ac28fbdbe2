"""The Search service: indexes, and the entries that published data are found by."""
