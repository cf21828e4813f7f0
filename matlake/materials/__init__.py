"""Ground floor: what a material is. Knows no SQL and no torch."""
