"""Scores the result files of any detector, in the format of the PASCAL VOC devkit."""
