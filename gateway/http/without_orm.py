"""Let SQLModel be imported without SQLAlchemy's ORM: no table of the gateway is mapped.

What SQLModel imports of the ORM are classes to inherit from and decorators for what is mapped. An empty class is enough
of each. Decision 0039 has the figures.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import GenericAlias, ModuleType
from typing import Any

ORM = "sqlalchemy.orm"


def leave_out() -> None:
    """Have whatever is imported of the ORM from now on be empty, in a process that is the gateway's alone."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


class _Empty:
    """Stands for a class or a decorator of the ORM, whichever is asked for."""

    __class_getitem__: Any = classmethod(GenericAlias)

    def __init__(self, *_: object) -> None: ...


class _Registry(_Empty):
    """Stands for the ORM's registry, of which SQLModel takes the metadata of its tables."""

    def __init__(self) -> None:
        from sqlalchemy import MetaData

        self.metadata = MetaData()


class _Module(ModuleType):
    """Stands for a module of the ORM."""

    DeclarativeMeta = type
    registry = _Registry

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Empty


class _Finder(MetaPathFinder, Loader):
    """Finds the modules of the ORM, before whoever finds files does."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return how a module of the ORM is made; None for any other."""
        del path, target
        return spec_from_loader(name, self, is_package=True) if f"{name}.".startswith(f"{ORM}.") else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return a module that has every name."""
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module has all its names already."""


_FINDER = _Finder()
