"""Public names that are imported when first used (PEP 562): an import costs only what is asked for."""

import importlib
import sys
from collections.abc import Callable, Collection, Iterable, Mapping


def lazily(
    package: str, homes: Mapping[str, str], *, also: Iterable[str] = (), packages: Collection[str] = ()
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Returns `__getattr__` and `__dir__` of a package.

    Args:
        package: Its name.
        homes: By public name, the module below the package that holds it.
        also: Public names that the package holds itself.
        packages: Subpackages with names of their own, imported when first used as well.
    """

    def get(name: str) -> object:
        if name in packages:
            return importlib.import_module(f"{package}.{name}")
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted([*homes, *also, *packages])

    return get, names
