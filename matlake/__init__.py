"""matlake: an embedding store for materials science.

The public names stand in ``__init__.pyi``. They are imported when they are first used, so that ``import matlake`` stays
light.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.2.0.dev0"
