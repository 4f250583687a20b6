"""Image and video files: read as they are shown, repaired, written."""
