"""What of the unpacked packages reaches the root file system. Everything else stays behind. Pure.

No shell, no login, no package manager, no udev, no D-Bus: ten programs. Libraries are not
listed; what the programs and extension modules need is found in the files themselves.
"""

from typing import Final

__all__ = [
    "FOLDERS",
    "LINKS",
    "LOADED_LIBRARIES",
    "PROGRAMS",
    "PYTHON",
    "PYTHON_LEFT_OUT",
    "STOCK_UNITS",
    "WANTED_UNITS",
]

PROGRAMS: Final = (
    *("usr/lib/systemd/systemd", "usr/lib/systemd/systemd-executor"),
    *("usr/lib/systemd/systemd-journald", "usr/lib/systemd/systemd-shutdown"),
    "usr/bin/systemd-tmpfiles",
    *("usr/bin/mount", "usr/bin/umount"),
    "usr/bin/python3.13",
    # For the initramfs, which checks and grows /data with them.
    *("usr/sbin/e2fsck", "usr/sbin/resize2fs"),
)
# systemd opens this one by name: without it a system call filter is not applied.
LOADED_LIBRARIES: Final = ("libseccomp.so.2", "libmount.so.1")
FOLDERS: Final = ("app", "data", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var")
LINKS: Final = {
    "bin": "usr/bin",
    "lib": "usr/lib",
    "sbin": "usr/sbin",
    "usr/bin/python3": "python3.13",
    "usr/sbin/init": "../lib/systemd/systemd",
}

PYTHON: Final = "usr/lib/python3.13"
# What a daemon has no use for: tools, user interfaces, network protocols, tests.
PYTHON_LEFT_OUT: Final = frozenset(
    (
        *("EXTERNALLY-MANAGED", "LICENSE.txt", "_distutils_system_mod.py", "_pyrepl"),
        *("_aix_support.py", "_android_support.py", "_apple_support.py", "_ios_support.py"),
        *("_osx_support.py", "_pyio.py", "__hello__.py", "__phello__", "antigravity.py", "asyncio"),
        *(
            "bdb.py",
            "cProfile.py",
            "cmd.py",
            "code.py",
            "codeop.py",
            "colorsys.py",
            "compileall.py",
        ),
        *("curses", "dbm", "doctest.py", "filecmp.py", "fileinput.py", "ftplib.py", "html", "http"),
        *("imaplib.py", "mailbox.py", "mimetypes.py", "modulefinder.py", "multiprocessing"),
        *("netrc.py", "nturl2path.py", "pdb.py", "pickletools.py", "plistlib.py", "poplib.py"),
        *("profile.py", "pstats.py", "pty.py", "pyclbr.py", "pydoc.py", "pydoc_data", "quopri.py"),
        *("rlcompleter.py", "sched.py", "shelve.py", "sitecustomize.py", "smtplib.py"),
        *(
            "socketserver.py",
            "sqlite3",
            "statistics.py",
            "symtable.py",
            "tabnanny.py",
            "tarfile.py",
        ),
        *("test", "this.py", "timeit.py", "trace.py", "turtle.py", "tty.py", "unittest"),
        *("venv", "wave.py", "webbrowser.py", "wsgiref", "xml", "xmlrpc", "zipapp.py", "zoneinfo"),
        *("_codecs_cn", "_codecs_hk", "_codecs_iso2022", "_codecs_jp", "_codecs_kr", "_codecs_tw"),
        *("_asyncio", "_ctypes_test", "_curses", "_curses_panel", "_dbm", "_lsprof"),
        *("_multibytecodec", "_multiprocessing", "_sqlite3", "_testbuffer", "_testcapi"),
        *("_testclinic", "_testclinic_limited", "_testexternalinspection", "_testimportmultiple"),
        *("_testinternalcapi", "_testlimitedcapi", "_testmultiphase", "_testsinglephase"),
        *("_xxtestfuzz", "_zoneinfo", "readline", "xxlimited", "xxlimited_35", "xxsubtype"),
    )
)

STOCK_UNITS: Final = (
    *("basic.target", "final.target", "local-fs.target", "local-fs-pre.target"),
    *("multi-user.target", "network.target", "paths.target", "poweroff.target", "reboot.target"),
    *("shutdown.target", "slices.target", "sockets.target", "swap.target", "sysinit.target"),
    *("time-set.target", "time-sync.target", "timers.target", "umount.target"),
    *("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"),
    *("systemd-tmpfiles-setup.service", "systemd-poweroff.service", "systemd-reboot.service"),
)
WANTED_UNITS: Final = {
    "sysinit.target": ("systemd-journald.service", "systemd-tmpfiles-setup.service"),
    "sockets.target": ("systemd-journald.socket", "systemd-journald-dev-log.socket"),
    "multi-user.target": tuple(
        f"{name}.service"
        for name in ("generate-serial", "setup-gadget", "ffs_registrar", "attach-gadget", "tezsign")
    ),
}
