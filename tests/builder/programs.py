"""The board's programs as modules: they have no .py at the end of their names."""

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Final

__all__ = ["ASSETS", "load_program"]

ASSETS: Final = Path(__file__).parents[2] / "builder" / "assets"


def load_program(name: str) -> ModuleType:
    """A new module each time; its `main` is not called, and no byte code is left beside it."""
    loader = SourceFileLoader(name.replace("-", "_"), str(ASSETS / name))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    source = (ASSETS / name).read_bytes()
    exec(compile(source, str(ASSETS / name), "exec"), module.__dict__)  # noqa: S102  (ours)
    return module
