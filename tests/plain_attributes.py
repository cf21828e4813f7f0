"""The attributes of the structural descriptor once more, in plain numpy and by the definitions alone."""

import itertools

import numpy as np
from scipy.special import erfc

from matlake.materials.crystal import Crystal
from matlake.materials.geometry.elements import COVALENT_RADII_A, ELECTRONEGATIVITIES, MASSES_U

CUTOFF = 8.0


def images(crystal: Crystal) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each atom the atomic numbers of its neighbours within the cutoff, and the vectors to them."""
    return [(crystal.numbers[which], vectors) for which, vectors in neighbours(crystal)]


def distances(crystal: Crystal) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each atom its neighbours within the cutoff, by their places in the cell, and their distances."""
    return [(which, np.linalg.norm(vectors, axis=1)) for which, vectors in neighbours(crystal)]


def neighbours(crystal: Crystal) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each atom its neighbours by their places in the cell, and the vectors to them: everywhere is looked."""
    heights = crystal.volume / np.linalg.norm(
        np.cross(np.roll(crystal.lattice, -1, axis=0), np.roll(crystal.lattice, -2, axis=0)), axis=1
    )
    spread = np.ptp(crystal.positions, axis=0)
    reach = np.ceil(CUTOFF / heights + spread).astype(int)
    cells = np.array(list(itertools.product(*[range(-r, r + 1) for r in reach])))
    found = []
    for position in crystal.positions:
        fractional = (crystal.positions[:, None] + cells[None] - position).reshape(-1, 3)
        vectors = fractional @ crystal.lattice
        lengths = np.linalg.norm(vectors, axis=1)
        near = (lengths <= CUTOFF) & (lengths > 1e-6)
        found.append((np.repeat(np.arange(len(crystal.numbers)), len(cells))[near], vectors[near]))
    return found


def step(x: np.ndarray, start: float, end: float) -> np.ndarray:
    t = np.clip((end - x) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def plain_attributes(crystal: Crystal) -> np.ndarray:
    """All attributes but how far bonds must reach, float64 [d - 6]."""
    mass, radius, negativity = (
        np.array([0.0, *table])[crystal.numbers] for table in (MASSES_U, COVALENT_RADII_A, ELECTRONEGATIVITIES)
    )
    masses, radii, negativities = (
        np.array([0.0, *table]) for table in (MASSES_U, COVALENT_RADII_A, ELECTRONEGATIVITIES)
    )
    n, rows, directions, share, springs, valences = len(mass), [], np.zeros((3, 3)), 0.0, 0.0, 0.0
    counts = np.zeros(5)
    radial = np.zeros(5)
    charges, around = np.zeros(n), images(crystal)
    for i, (z, vectors) in enumerate(around):
        d = np.linalg.norm(vectors, axis=1)
        unit = vectors / d[:, None]
        ratio = d / (radius[i] + radii[z])
        ghost = CUTOFF / (2 * radius[i])
        nearest = min([ghost, *ratio])
        charges[i] = (valences_of(crystal.numbers[i], z, d) * (negativities[z] - negativity[i])).sum()
        shells = np.exp(-(((ratio[:, None] - np.array([0.9, 1.2, 1.5, 1.8, 2.1])) / 0.2) ** 2))
        radial += (shells * step(d, 7.0, 8.0)[:, None]).sum(axis=0) / n
        contact = step(np.append(ratio, ghost) / nearest, 1.1, 1.3)
        # the imaginary neighbour of its own kind at the cutoff is the last
        weight = step(np.append(d, CUTOFF) / min([CUTOFF, *d]), 1.1, 1.3)
        reduced = 1 / mass[i] + 1 / np.append(masses[z], mass[i])
        k = np.exp(-np.append(d, CUTOFF) / 0.7) * np.append(step(d, 6.0, 8.0), 1.0)
        k6 = np.append(d, CUTOFF) ** -6.0 * np.append(step(d, 6.0, 8.0), 1.0)
        valence = np.exp((radius[i] + np.append(radii[z], radius[i]) - np.append(d, CUTOFF)) / 0.37)
        valence[:-1] *= step(d, 6.0, 8.0)
        difference = np.append(np.abs(negativities[z] - negativity[i]), 0.0)
        dyads = np.concatenate([unit[:, :, None] * unit[:, None, :], np.eye(3)[None] / 3])
        stiffness = np.linalg.eigvalsh(np.einsum("e,eab->ab", k, dyads))
        directions += np.einsum("e,eab->ab", contact, dyads)
        share += contact.sum()
        springs += (k * np.append(d, CUTOFF) ** 2).sum()
        valences += (valence * np.append(d, CUTOFF) ** 2).sum()
        rows.append(
            [
                min([CUTOFF, *d]),
                nearest,
                weight[:-1].sum(),
                (weight * np.sqrt(reduced)).sum() / weight.sum(),
                (weight * difference).sum() / weight.sum(),
                np.log((k * reduced).sum()),
                np.log((k6 * reduced).sum()),
                np.log(stiffness[-1] / mass[i]),
                np.log(stiffness[0] / mass[i]),
                mass[i] ** -0.5,
                np.log(valence.sum()),
                contact[:-1].sum(),
            ]
        )
        cosines, pairs = unit @ unit.T, np.outer(contact[:-1], contact[:-1])
        np.fill_diagonal(pairs, 0.0)
        if contact[:-1].any():
            gaussians = np.exp(-(((cosines[None] - np.linspace(-1, 1, 5)[:, None, None]) / 0.3) ** 2))
            counts += (gaussians * pairs).sum(axis=(1, 2)) / contact[:-1].sum() / n
    spheres = 4 / 3 * np.pi * (radius**3).sum() / crystal.volume
    cell = [
        crystal.volume / n,
        np.log(crystal.volume / n),
        1.66053906660 * mass.sum() / crystal.volume,
        np.log(mass.sum() / crystal.volume),
        spheres,
        np.log(spheres),
        *np.linalg.eigvalsh(directions / share),
        np.log(springs / crystal.volume),
        np.log(valences / crystal.volume),
    ]
    table = np.array(rows)
    statistics = np.stack([table.mean(axis=0), table.min(axis=0), table.max(axis=0), table.std(axis=0)], axis=1)
    return np.concatenate(
        [cell, statistics.ravel(), counts, radial, [charges.std(), potentials(crystal, charges).std()]]
    )


def valences_of(one: int, others: np.ndarray, d: np.ndarray) -> np.ndarray:
    radii = np.array([0.0, *COVALENT_RADII_A])
    return np.exp((radii[one] + radii[others] - d) / 0.37) * step(d, 6.0, 8.0)


def potentials(crystal: Crystal, charges: np.ndarray) -> np.ndarray:
    """Wolf's sum: every charge within the cutoff is neutralised by one of opposite sign on the sphere."""
    found = np.zeros(len(charges))
    for i, (which, d) in enumerate(distances(crystal)):
        shifted = erfc(0.3 * d) / d - erfc(0.3 * CUTOFF) / CUTOFF
        found[i] = (charges[which] * shifted).sum() - charges[i] * (erfc(0.3 * CUTOFF) / CUTOFF + 0.6 / np.sqrt(np.pi))
    return 14.3996 * found
