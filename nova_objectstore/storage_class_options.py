"""The ini sections of storage classes: ``[storage_class:NAME]``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg

from nova_objectstore.assembly import place_of_data
from nova_objectstore.config import STORAGE_CLASSES
from nova_objectstore.domain.storage_classes import STANDARD, StorageClassSettings, is_class_name
from nova_wsgi.config import read_family
from nova_wsgi.errors import ConfigError


def read_storage_classes(conf: cfg.ConfigOpts, *, state_path: Path) -> Sequence[StorageClassSettings]:
    """The classes that are configured. Raises ConfigError, one line, for a section that makes no sense."""
    made = []
    for name, section in read_family(conf, STORAGE_CLASSES).items():
        if name == STANDARD or not is_class_name(name):
            why = "its objects lie in state_path" if name == STANDARD else "not a name of capital letters, digits and _"
            raise ConfigError(f"[storage_class:{name}]: {why}")
        made.append(StorageClassSettings(name, section["data"], section["archive"], section["inline_size_max"]))
    _check_places(made, state_path)
    return made


def _check_places(classes: Sequence[StorageClassSettings], state_path: Path) -> None:
    """No two engines in one directory, or one in the other's: each would take the other's files for its own."""
    taken: dict[Path, str] = {state_path.absolute(): "state_path"}
    for made in classes:
        if not made.data_url:
            continue
        place = place_of_data(made)
        for other, owner in taken.items():
            if other.is_relative_to(place) or (place.is_relative_to(other) and owner != "state_path"):
                raise ConfigError(f"[storage_class:{made.name}] data: {made.data_url}: the place of {owner}")
        if place.is_relative_to(state_path.absolute() / "data"):
            raise ConfigError(f"[storage_class:{made.name}] data: {made.data_url}: the place of STANDARD")
        taken[place] = f"[storage_class:{made.name}]"
