"""Oxidation states that elements may have: stated on an encoder's card, never guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from matlake.errors import EncoderError
from matlake.materials.charge_sums import FEW, neutral_by_sums
from matlake.materials.ragged import offsets_of


@dataclass(frozen=True)
class OxidationStates:
    """The oxidation states of some elements.

    Attributes:
        charges: float64 [s], those of all elements, one after another.
        offsets: int64 [e + 1]; the states of element i are ``charges[offsets[i]:offsets[i + 1]]``.
    """

    charges: NDArray[np.float64]
    offsets: NDArray[np.int64]

    def can_be_neutral(self, fractions: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Say which compositions can be neutral with one oxidation state for each element.

        An element by itself counts as neutral, as it does in Magpie (Ward et al., npj Comput. Mater. 2, 16028, 2016).
        A charge below the rounding of the fractions is none: up to 2⁻²⁴ of what the charges add up to without signs.
        All combinations are covered where there are no more than 2²⁹; see ``neutrality`` for what happens beyond.

        Args:
            fractions: float32 [n, e], element fractions in the order of the elements.

        Returns:
            bool [n].
        """
        neutral = neutral_by_sums(fractions, self.charges, self.offsets) if len(fractions) <= FEW else None
        if neutral is not None:
            return neutral
        from matlake.materials.neutrality import neutral_rows  # numba takes a second to import

        neutral = np.zeros(len(fractions), dtype=np.bool_)
        copy = np.array(fractions, dtype=np.float32, order="C")  # numba compiles anew for arrays that are read-only
        neutral_rows(copy, self.charges, self.offsets, neutral)
        return neutral

    @classmethod
    def from_card(cls, states: Mapping[str, Sequence[int]], elements: Sequence[str]) -> Self:
        """Read the states that a card lists for each element.

        Args:
            states: By symbol.
            elements: Symbols, in the order of the fractions.

        Raises:
            EncoderError: An element has no state, or a state is not a whole number.
        """
        try:
            listed = [list(states[symbol]) for symbol in elements]
        except (KeyError, TypeError) as error:
            raise EncoderError(f"the card's oxidation states are not lists for all elements: {error!r}") from error
        bad = [
            symbol
            for symbol, charges in zip(elements, listed, strict=True)
            if not charges or not all(isinstance(charge, int) for charge in charges)
        ]
        if bad:
            raise EncoderError(f"the card's oxidation states of {', '.join(bad)} are not whole numbers")
        return cls(np.concatenate(listed).astype(np.float64), offsets_of([len(charges) for charges in listed]))
