"""The numbers that heads learn from: embedded layers, descriptors, and matrices of them."""
