"""File formats of others: archives, PASCAL VOC devkits and annotations."""
