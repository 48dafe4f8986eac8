"""The world simulator: exact image pairs with exact masks, for training and for measuring."""
