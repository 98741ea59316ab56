"""Data: files, splits, preprocessing, augmentation and batches, as tensors in memory."""
