"""File formats of other projects: tar archives, PASCAL VOC devkits and annotations."""
