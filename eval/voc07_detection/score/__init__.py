"""Scores result files in the format of the PASCAL VOC devkit, of any detector."""
