"""Which packages the image is made of. Their versions and hashes are in `debian.lock`. Pure.

Packages of `root` are unpacked, never installed: no maintainer script runs, and only files that are
listed in `image.root_files`, with the libraries that they need, reach the image.
"""

from typing import Final

__all__ = ["BOARD_ARCHITECTURE", "KERNEL", "NAMES", "SUITES", "TOOL_ARCHITECTURES"]

BOARD_ARCHITECTURE: Final = "arm64"
TOOL_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
# Suites of the main archive and of the security archive.
SUITES: Final = (
    ("debian", "trixie"),
    ("debian", "trixie-updates"),
    ("security", "trixie-security"),
)
# Depends on the package that has the newest kernel.
KERNEL: Final = "linux-image-arm64"

_LIBRARIES: Final = (
    *("libacl1", "libapparmor1", "libaudit1", "libblkid1", "libc6", "libcap-ng0", "libcap2"),
    *("libcom-err2", "libcrypt1", "libexpat1", "libext2fs2t64", "libffi8", "libgcc-s1", "libkmod2"),
    *("liblzma5", "libmount1", "libpam0g", "libpcre2-8-0", "libseccomp2", "libselinux1"),
    *("libssl3t64", "libsystemd-shared", "libsystemd0", "libuuid1", "libzstd1", "zlib1g"),
    *("libbz2-1.0", "liblz4-1", "libgcrypt20", "libgpg-error0"),
)
_PYTHON: Final = ("python3.13-minimal", "libpython3.13-minimal", "libpython3.13-stdlib")

NAMES: Final = {
    "root": (
        *("systemd", "mount", "e2fsprogs", "python3-systemd"),
        *_PYTHON,
        *_LIBRARIES,
    ),
    # The shell of the initramfs; it is gone when the root file system is there.
    "initramfs": ("busybox-static",),
    "firmware": ("raspi-firmware",),
    # Beside those of `root`, on a development image: a way in, and a clock.
    "dev": (
        *("chrony", "dropbear-bin", "libedit2", "libgnutls30t64", "libnettle8t64"),
        *("libbsd0", "libgmp10", "libhogweed6t64", "libidn2-0", "libmd0", "libp11-kit0"),
        *("libtasn1-6", "libtinfo6", "libtomcrypt1", "libtommath1", "libunistring5"),
    ),
    # The host's side of the cable, for boots in tests.
    "test": ("libudev1", "libusb-1.0-0"),
    "tools": (
        *("e2fsprogs", "erofs-utils", "device-tree-compiler", "zstd", "xz-utils"),
        *_PYTHON,
        *(
            "libblkid1",
            "libc6",
            "libcom-err2",
            "libdeflate0",
            "libexpat1",
            "libext2fs2t64",
            "libfdt1",
        ),
        *("libgcc-s1", "liblz4-1", "liblzma5", "libpcre2-8-0", "libselinux1", "libstdc++6"),
        *("libuuid1", "libxxhash0", "libyaml-0-2", "libzstd1", "zlib1g"),
    ),
}
