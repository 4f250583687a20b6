"""Image and video files: reads them as viewers show them, repairs and writes them."""
