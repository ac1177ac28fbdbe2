"""Transfer v0.10 of the sandbox: collections, file operations, tasks that move real bytes."""
