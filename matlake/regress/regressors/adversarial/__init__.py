"""Learning from adversarial samples, for materials unlike those trained on. See docs/science/adversarial.md."""
