"""Whether, when and how a pixel's calls are compiled; an extra, ``pip install '.[compiled]'``.

With few pictures cached sampling takes the time of some dozens of NumPy's calls for each pixel, and
not that of its arithmetic. ``recorded`` makes one call of them. It needs Numba, so it is imported
when it is first asked for.
"""

from importlib import import_module
from importlib.util import find_spec

from models.sampling.calls import Calls

# Of many more pictures at once the matrix products of NumPy are sooner done (docs/speed.md).
MOST = 16


def is_installed() -> bool:
    """Whether there is Numba, which is not imported for that."""
    return find_spec("numba") is not None


def record() -> Calls:
    """Calls that are written down for compiled code.

    Raises:
        ModuleNotFoundError: There is no Numba.
    """
    if not is_installed():
        raise ModuleNotFoundError(
            "Compiled sampling needs Numba: pip install '.[compiled]'. Without it "
            "method='cached' gives the same pictures."
        )
    calls: Calls = import_module("models.sampling.recorded").RecordedCalls()
    return calls
