"""The Compute service: endpoints that really run functions, each in a process of its own, apart from the sandbox."""
