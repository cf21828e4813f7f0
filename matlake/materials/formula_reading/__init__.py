"""How a formula is read: markup, dots, symbols and amounts, and what has two readings."""
