"""Starting and ending the servers of the tests: as an unprivileged user, on a free port, never outliving the tests."""

import ctypes
import errno
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import pathlib


class _Ports:
    """A block of ports that no other run of the tests on this machine has, below those that the kernel gives to connections.

    A port is given again only when all others of the block were."""

    _BLOCK = 1_000
    _LOWEST = 10_000

    def __init__(self):
        kernels = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        end = kernels if kernels >= self._LOWEST + self._BLOCK else 60_000   # where it takes all, there is no better place
        blocks = list(range(self._LOWEST, min(end, 60_000) - self._BLOCK + 1, self._BLOCK))
        random.shuffle(blocks)
        for first in blocks:
            self._claim = socket.socket(socket.AF_UNIX)
            try:
                self._claim.bind(f"\0tidegate tests: ports from {first}")  # until this process ends
            except OSError:
                self._claim.close()
                continue
            self._ports = itertools.cycle(range(first, first + self._BLOCK))
            return
        raise RuntimeError(f"no {self._BLOCK} ports between {self._LOWEST} and {end} are left to the tests")

    def next(self) -> int:
        for port in itertools.islice(self._ports, self._BLOCK):
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
            return port
        raise RuntimeError("the tests hold all of their ports")


_ports: _Ports | None = None


def free_port() -> int:
    """A port of 127.0.0.1 that is free now, and that nobody else will take."""
    global _ports
    if _ports is None:
        _ports = _Ports()
    return _ports.next()


def unprivileged() -> dict:
    """Arguments for subprocess that drop root's rights; PostgreSQL refuses to run with them."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    raise RuntimeError("root needs an unprivileged account to run PostgreSQL as")


def own(path: pathlib.Path):
    """Gives a file or folder to the user that unprivileged() runs as."""
    account = unprivileged()
    if account:
        os.chown(path, account["user"], account["group"])


def scratch_folder(name: str) -> pathlib.Path:
    """A new folder that every user may enter; whoever asked for it removes it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"tidegate-{name}-"))
    folder.chmod(0o755)
    return folder


def remove(folder: pathlib.Path):
    shutil.rmtree(folder, ignore_errors=True)


_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


def end_with_parent():
    """In a child just before it becomes another program: let the kernel end it when the tests are gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class _Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("if_so", ctypes.c_ubyte), ("if_not", ctypes.c_ubyte), ("operand", ctypes.c_uint)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filters", ctypes.POINTER(_Filter))]


def forbid_io_uring():
    """In a child just before it becomes another program: io_uring_setup fails with EPERM, as in a container's seccomp profile."""
    load_word, equal, answer = 0x20, 0x15, 0x06
    io_uring_setup, allow, refuse = 425, 0x7FFF0000, 0x00050000 | errno.EPERM
    filters = (_Filter * 4)(_Filter(load_word, 0, 0, 0), _Filter(equal, 0, 1, io_uring_setup), _Filter(answer, 0, 0, refuse),
                            _Filter(answer, 0, 0, allow))
    no_new_privileges, set_seccomp, by_filter = 38, 22, 2
    _libc.prctl(no_new_privileges, 1, 0, 0, 0)
    if _libc.prctl(set_seccomp, by_filter, ctypes.byref(_Program(len(filters), filters)), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def wait_until(condition, timeout: float = 10, what: str = "condition", every: float = 0.01):
    """Polls `condition` until it returns something true, and returns that. For states that announce themselves to nobody."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(every)


def end(process: subprocess.Popen, number: int, timeout: float) -> int | None:
    """Signals a process and waits: its exit code, or None if it had to be killed."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return None
