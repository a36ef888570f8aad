"""Become another program, as another user if asked, that doesn't outlive its parent.

Run as a script in a fresh interpreter (`python -I -S launch.py …`), between fork and exec, so that nothing of this
happens in a process that may have threads. Linux only: prctl(2), capabilities(7).
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 4
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2

CANNOT_BECOME = 97
"""Exit status: this process may not change its user, or may not keep the capability that was asked for."""
PARENT_GONE = 98
"""Exit status: the parent had died before it could be watched."""


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def die_with_parent(parent: int, signal: int) -> bool:
    """Have the kernel send `signal` to this process when the thread that started it ends.

    Call it after any change of user (which clears it), in a process that was started by a thread that lives.

    Args:
        parent: process id of the parent, as the parent gave it.
        signal: number of the signal.

    Returns:
        Whether the parent still lives; if not, the caller should end.

    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    return os.getppid() == parent


def become(uid: int, gid: int, *, reach_everywhere: bool) -> None:
    """Turn from root into another user for good.

    Args:
        uid: user id.
        gid: group id; all other groups are left.
        reach_everywhere: keep the capability to pass through folders closed to the user (`CAP_DAC_READ_SEARCH`, or
            `CAP_DAC_OVERRIDE` where a container has only that one), and hand it on to programs executed from here.

    Raises:
        OSError: not root, or root without the capabilities needed.

    """
    libc = ctypes.CDLL(None, use_errno=True)

    def check(result: int, what: str) -> None:
        if result != 0:
            raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")

    if reach_everywhere:
        # Without it access(2), by which PostgreSQL's programs look for each other, forgets the capabilities of a user
        # that isn't root. Not all containers let root set it; where the programs can be passed to, all is well anyway.
        libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
        check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if not reach_everywhere:
        return
    header = _Header(CAPABILITY_VERSION_3, 0)
    sets = (_Sets * 2)()
    check(libc.capget(ctypes.byref(header), sets), "capget")
    held = sets[0].permitted
    one = next((c for c in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if held & (1 << c)), None)
    if one is None:
        raise PermissionError("neither CAP_DAC_READ_SEARCH nor CAP_DAC_OVERRIDE is held")
    bit = 1 << one
    sets = (_Sets * 2)(_Sets(bit, bit, bit), _Sets(0, 0, 0))
    check(libc.capset(ctypes.byref(header), sets), "capset")
    check(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, one, 0, 0), "prctl(PR_CAP_AMBIENT)")


def main(arguments: list[str]) -> int:
    """`launch.py PARENT SIGNAL UID GID REACH PROGRAM [ARGUMENT…]`: UID -1 keeps the user; SIGNAL 0 asks for none."""
    parent, signal, uid, gid, reach = (int(argument) for argument in arguments[:5])
    program = arguments[5:]
    if uid >= 0:
        try:
            become(uid, gid, reach_everywhere=bool(reach))
        except OSError as error:
            sys.stderr.write(f"{error}\n")
            return CANNOT_BECOME
    if signal and not die_with_parent(parent, signal):
        return PARENT_GONE
    return os.execv(program[0], program)  # noqa: S606 -- the point of this program


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
