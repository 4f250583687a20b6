"""What every package uses: errors, paths, files, progress."""
