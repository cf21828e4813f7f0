"""How fast, beside what one would use instead."""
