"""An image of one file that sleeps for ever: it holds the network that the containers of a pod share. Made here,
fetched from nowhere.

The file is a static ELF program of eight to thirteen instructions, so it needs no compiler and no registry.
"""

from __future__ import annotations

import io
import struct
import tarfile

from kubeedge_actors.errors import ContainerError

PROGRAM = "/pause"
_BASE = 0x400000

# Of containers that share their processes it is the first one, to whom all orphans fall: first of all
# rt_sigaction(SIGCHLD, {SIG_IGN}, NULL, 8), so that the kernel keeps no zombies. What is ignored stands behind the code.
_IGNORE_64, _IGNORE_32 = struct.pack("<4Q", 1, 0, 0, 0), struct.pack("<5I", 1, 0, 0, 0, 0)
# then pause(2), again when a signal ends it
_X86_64_CODE = bytes.fromhex("b80d000000bf11000000be") + struct.pack("<I", _BASE + 120 + 34)
_X86_64 = _X86_64_CODE + bytes.fromhex("31d241ba080000000f05b8220000000f05ebf7") + _IGNORE_64
# then ppoll(NULL, 0, NULL, NULL): arm64 has no pause(2). x0..x3 = 0, x8 = 73, svc 0, back to the first
_ARM64_IGNORE = struct.pack("<6I", 0xD2800220, 0x10000181, 0xD2800002, 0xD2800103, 0xD28010C8, 0xD4000001)
_ARM64_CODE = struct.pack("<7I", 0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800928, 0xD4000001, 0x17FFFFFA)
_ARM64 = _ARM64_IGNORE + _ARM64_CODE + _IGNORE_64
# then pause(2): r7 = 29, svc 0, back
_ARM_IGNORE = struct.pack("<6I", 0xE3A070AE, 0xE3A00011, 0xE28F1014, 0xE3A02000, 0xE3A03008, 0xEF000000)
_ARM = _ARM_IGNORE + struct.pack("<3I", 0xE3A0701D, 0xEF000000, 0xEAFFFFFC) + _IGNORE_32


def _elf64(machine: int, code: bytes) -> bytes:
    size = 64 + 56 + len(code)
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, machine, 1, _BASE + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return head + segment + code


def _elf32(machine: int, flags: int, code: bytes) -> bytes:
    size = 52 + 32 + len(code)
    head = struct.pack(
        "<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, machine, 1, _BASE + 84, 52, 0, flags, 52, 32, 1, 0, 0, 0
    )
    segment = struct.pack("<IIIIIIII", 1, 0, _BASE, _BASE, size, size, 5, 0x1000)
    return head + segment + code


def pause_binary(machine: str) -> bytes:
    """The program for a machine as the kernel names it. ContainerError when there is none."""
    if machine == "x86_64":
        return _elf64(62, _X86_64)
    if machine == "aarch64":
        return _elf64(183, _ARM64)
    if machine.startswith("armv"):
        return _elf32(40, 0x05000000, _ARM)
    raise ContainerError(f"a pod of several containers needs a pause image on {machine}")


def image_layer(machine: str) -> bytes:
    """The image's only layer, a tar archive."""
    code, out = pause_binary(machine), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(PROGRAM.lstrip("/"))
        entry.size, entry.mode = len(code), 0o755
        archive.addfile(entry, io.BytesIO(code))
    return out.getvalue()
