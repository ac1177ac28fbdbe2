"""Action providers: what the states of a flow can do, under the URLs that production definitions name."""
