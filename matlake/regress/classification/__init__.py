"""Yes/no properties: calibrated probabilities, their measures, and sets of labels with a coverage for each class."""
