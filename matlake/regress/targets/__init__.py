"""What is learned: the scale on which a property is fitted, and the values that it can have."""
