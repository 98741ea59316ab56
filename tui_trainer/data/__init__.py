"""Data: reading, splitting, preprocessing, augmentation and batching."""
