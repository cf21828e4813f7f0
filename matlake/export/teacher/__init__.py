"""Labels that a teacher computes: an encoder that predicts energies says how stiff crystals are."""
