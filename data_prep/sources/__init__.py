"""Where records come from: photos, videos, ImageNet, VOC, NYU, the demo's samples."""
