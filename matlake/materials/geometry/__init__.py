"""A structural descriptor of crystals that has learned nothing; ``attributes`` puts its parts together."""
