"""From a data set to the batches that a fine-tuning run sees."""
