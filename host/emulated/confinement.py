"""What the emulator's process may do: compute. It runs C++ that may be somebody else's, so it gives up the rest first.

Each layer is taken where it can be had; `confine` says which hold. No new privileges (prctl) and resource limits need
only the standard library; Landlock (no file but the system's libraries) and seccomp (no network, no other process) need
the packages of those names and a kernel that has them.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

# Of prctl, in linux/prctl.h.
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_THREAD = 0x00010000
# The loader, the C++ runtime, and this interpreter's own modules; nothing of any user.
_SYSTEM_FOLDERS = ("/lib", "/lib32", "/lib64", "/usr", "/etc/ld.so.cache", "/dev/null")
# The process has five files open when the kernel is loaded; the loader opens a library at a time.
_OPEN_FILES = 64

# Kept by name: those that an architecture lacks are left out. Reading: what reaches other processes, other machines,
# the kernel's own configuration, or would open a way around this filter (io_uring).
_REFUSED = (
    *("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4"),
    *("execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev"),
    *("pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kcmp", "tkill", "rt_sigqueueinfo"),
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_by_handle_at", "name_to_handle_at"),
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("keyctl", "add_key", "request_key", "shmget", "shmat", "msgget", "semget", "mq_open"),
    *("reboot", "kexec_load", "init_module", "finit_module", "delete_module", "swapon", "swapoff", "acct", "quotactl"),
    *("settimeofday", "clock_settime", "adjtimex", "sethostname", "setdomainname", "syslog", "personality"),
    *("setpriority", "sched_setscheduler", "setrlimit", "iopl", "ioperm"),
)


def confine(libraries: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Gives up what computing does not need, for this process and for ever; the names of the layers that hold.

    ``libraries``: further folders that shared libraries are loaded from.
    """
    seccomp = _import_seccomp()
    layers = [_forbid_new_privileges(), _limit_resources(), _restrict_files(libraries), _restrict_calls(seccomp)]
    return tuple(layer for layer in layers if layer)


def _forbid_new_privileges() -> str:
    """A set-user-id program that is started would get nothing by it; seccomp and Landlock need it too."""
    done: int = ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return "no-new-privileges" if done == 0 else ""


def _limit_resources() -> str:
    """No core dump (it would hold the weights), no file written, no more memory than the machine has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: _OPEN_FILES,
        resource.RLIMIT_DATA: memory,
    }
    for which, limit in limits.items():
        hard = resource.getrlimit(which)[1]
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(which, (allowed, allowed))
    return "rlimits"


def _restrict_files(libraries: tuple[str, ...]) -> str:
    try:
        from landlock import FSAccess, LandlockError, Ruleset

        reading = FSAccess.READ_FILE | FSAccess.READ_DIR | FSAccess.EXECUTE
        # A rule for a file may not speak of folders.
        reading_file = FSAccess.READ_FILE | FSAccess.EXECUTE
        rules = Ruleset()
        for name in {*_SYSTEM_FOLDERS, sys.prefix, sys.base_prefix, *libraries}:
            path = Path(name)
            if path.exists():
                rules.allow(name, rules=reading if path.is_dir() else reading_file)
        rules.apply()
    except (ImportError, OSError, LandlockError):
        return ""
    return "landlock"


def _restrict_calls(seccomp: ModuleType | None) -> str:
    if seccomp is None:
        return ""
    try:
        refuse = seccomp.ERRNO(errno.EPERM)
        calls = seccomp.SyscallFilter(defaction=seccomp.ALLOW)
        for name in _REFUSED:
            with suppress(OSError, ValueError):  # not on this architecture
                calls.add_rule(refuse, name)
        # Threads, and no processes. clone3 hides its flags in memory: the C library falls back to clone.
        calls.add_rule(refuse, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, _CLONE_THREAD, 0))
        calls.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
        # Signals for itself only.
        for name in ("kill", "tgkill"):
            calls.add_rule(refuse, name, seccomp.Arg(0, seccomp.NE, os.getpid()))
        calls.load()
    except (RuntimeError, OSError):
        return ""
    return "seccomp"


def _import_seccomp() -> ModuleType | None:
    """Looks for libseccomp with the help of other programs, which a process that is confined cannot start."""
    try:
        return importlib.import_module("pyseccomp")
    except (ImportError, RuntimeError, OSError):
        return None
