"""Where the gadget daemon finds things. Read once at start from the environment; no defaults
elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Settings", "settings_from"]

_ENABLED: Final = "enabled.sock"
_READY: Final = "ready.sock"
_HEALTH: Final = "health.sock"
_SETTINGS: Final = "tezsign.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Folders of the daemon.

    Args:
        functionfs: the FunctionFS mount with ep1 to ep4.
        data: keystore, marks and throttle; must survive a reboot.
        run: the folder of the two local sockets.
        image: holds `.image-version`, `.image-date` and `.image-hash`; may not exist.
        registrar_user: account of the registrar, which may connect to the ready socket beside root
        and
            ourselves; empty = nobody else.
    """

    functionfs: Path
    data: Path
    run: Path
    image: Path
    registrar_user: str

    @property
    def enabled_socket(self) -> Path:
        return self.run / _ENABLED

    @property
    def health_socket(self) -> Path:
        return self.run / _HEALTH

    @property
    def settings_file(self) -> Path:
        """What a person may set, beside the keys."""
        return self.data / _SETTINGS

    @property
    def ready_socket(self) -> Path:
        return self.run / _READY


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Takes the settings from TEZSIGN_FFS, _DATA, _RUN, _IMAGE and _REGISTRAR_USER."""
    return Settings(
        functionfs=Path(environment.get("TEZSIGN_FFS", "/dev/ffs/tezsign")),
        data=Path(environment.get("TEZSIGN_DATA", "/data/tezsign")),
        run=Path(environment.get("TEZSIGN_RUN", "/run/tezsign")),
        image=Path(environment.get("TEZSIGN_IMAGE", "/app")),
        registrar_user=environment.get("TEZSIGN_REGISTRAR_USER", ""),
    )
