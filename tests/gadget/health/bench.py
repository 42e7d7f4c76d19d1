"""A monitor on a real keyring with a fake disk, whose process and card say what a test wants."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from gadget.health.board_figures import BoardFacts
from gadget.health.clock import BoardClock
from gadget.health.collector import Sources
from gadget.health.crash_log import CrashLog
from gadget.health.figures import StorageFigures
from gadget.health.log_tally import LogTally
from gadget.health.meters import Meters
from gadget.health.monitor import Monitor
from gadget.health.process_figures import ProcessFigures
from gadget.health.settings import HealthSettings
from gadget.imageinfo import ImageInfo
from gadget.part import Part
from tests.gadget.health.samples import GOOD
from tests.gadget.keychain.board import Board

__all__ = ["Bench"]


class Bench:
    """A board that serves; `look` is one interval. Tests change what it looks at."""

    def __init__(self, folder: Path, board: Board) -> None:
        self.folder = folder
        self.board = board
        self.now_s = 1000.0
        self.clock = BoardClock(
            now_s=lambda: self.now_s, own_unix_s=lambda: self.now_s, boot_id="boot"
        )
        self.settings = HealthSettings()
        self.meters = Meters()
        self.tally = LogTally()
        self.parts = [Part("usb"), Part("signature log"), Part("health")]
        for part in self.parts:
            part.beat(1e9)
        self.usb.status = "serving"
        self.process = ProcessFigures(
            rss_bytes=40 << 20,
            heap_bytes=30 << 20,
            peak_bytes=50 << 20,
            main_stack_bytes=1 << 17,
            threads=1,
            descriptors=30,
            descriptors_max=4096,
            cpu_seconds=3.0,
        )
        self.storage: StorageFigures = GOOD.storage
        self.start()

    def start(self) -> None:
        """The signer starts, or starts again."""
        self.crashes = CrashLog(
            self.folder / "health", self.folder, self.clock, version="1", keep_days=7, enabled=True
        )
        self.crashes.begin()
        self.crashes.open_history()
        self.monitor = Monitor(
            Sources(
                parts=self.parts,
                keyring=self.board.keyring,
                meters=self.meters,
                log=self.tally,
                crashes=self.crashes,
                clock=self.clock,
                settings=self.settings,
                data=self.folder,
                board=BoardFacts(ImageInfo(version="1", date=""), self.folder),
                read_process=lambda: self.process,
                read_storage=lambda _folder: self.storage,
            )
        )

    @property
    def usb(self) -> Part:
        return self.parts[0]

    def change_process(self, **changes: Any) -> None:
        self.process = replace(self.process, **changes)

    async def look(self, times: int = 1) -> set[str]:
        """Lets so many intervals pass, and returns the codes of the alerts after the last one."""
        for _ in range(times):
            self.now_s += 60
            report = await self.monitor.look(self.parts[-1])
        return {alert.code for alert in report.alerts}
