"""PASCAL VOC 2007 detection: Faster R-CNN on the trunk (paper section 5)."""
