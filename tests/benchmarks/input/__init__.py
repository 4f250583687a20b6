"""Times the input pipelines of the tasks."""
