"""Used by every command: how it starts, reports errors and defines flags for paths."""
