"""Used by every package: errors, checks, paths, files, progress."""
