"""Public benchmarks: their tasks and folds, and the published errors beside one's own."""
