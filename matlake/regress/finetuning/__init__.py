"""Fine-tuning of a saved head towards other materials."""
