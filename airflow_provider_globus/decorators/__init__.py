"""TaskFlow decorators: functions of a DAG that run at Globus."""
