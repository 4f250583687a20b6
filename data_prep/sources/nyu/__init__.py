"""Builders of photos with depth: NYU Depth v2 in its original formats, and folders.

The sources are the labelled set (`labelled_*`), the raw distribution (`raw_*`), and
folders of photos and depth images (`folder_*`).
"""
