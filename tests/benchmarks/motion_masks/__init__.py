"""Scores motion masks on constructed and rendered videos."""
