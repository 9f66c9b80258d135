"""The tables of every module, known by name, and the schemas they live in."""

import importlib
import pkgutil

import sqlalchemy as sa

import changke.modules
from changke.kernel.database import metadata


def load_tables() -> sa.MetaData:
    """Import every `tables` file of the house and return the filled metadata."""
    importlib.import_module("changke.kernel.tables")
    for module in pkgutil.iter_modules(changke.modules.__path__, "changke.modules."):
        package = importlib.import_module(module.name)
        for file in pkgutil.iter_modules(package.__path__, f"{module.name}."):
            if file.name.rpartition(".")[2].startswith("tables"):
                importlib.import_module(file.name)
    return metadata


def schemas() -> list[str]:
    """Return the names of the schemas the tables live in, in a fixed order."""
    return sorted({table.schema for table in load_tables().tables.values() if table.schema})
