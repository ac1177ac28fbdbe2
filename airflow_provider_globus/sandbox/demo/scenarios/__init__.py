"""One module for each example DAG the demo can run, named like the DAG; see `demo.scenario`."""
