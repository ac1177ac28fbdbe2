"""Groups: who belongs together. The other services ask its state who is in a group."""
