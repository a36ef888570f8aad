"""Confine this process, for good: `confine(spec)`.

Imports nothing of Openstage: it is part of the launcher (`launcher.py`), whose children call it before anything else.
What the spec holds:

    parent     process id of who starts us; if it is gone already, so are we
    cwd        folder to work in
    nice, cpu_seconds, memory, file_size, open_files      limits
    read       files and folders that may be read
    execute    files and folders that may be read and executed
    write      folders in which everything may be done
    devices    devices (and what tells about them) that may be read, written and controlled
    cores      numbers of the processors that it may run on; empty: all

What holds afterwards, for the program and for whatever it starts: it dies with the thread that started it
(PDEATHSIG), has no capabilities and can't gain any (no_new_privs), reaches no file but those above (Landlock), and
can't fork, open a socket, touch another process or change modes and owners of files (seccomp).

Exit status 125 and a line beginning with `jail:` mean that confining failed and nothing was started.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import time

FAILED = 125
PATIENT = 15  # niceness from which on nobody waits for us

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> int:
    """Give `result` back; OSError naming `what` if it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


# --- Landlock (https://docs.kernel.org/userspace-api/landlock.html) ----------------------------------------------
SYS_LANDLOCK_CREATE_RULESET = 444  # the same numbers on every architecture
SYS_LANDLOCK_ADD_RULE = 445
SYS_LANDLOCK_RESTRICT_SELF = 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE = 1 << 14
RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
IOCTL_DEVICE = 1 << 15
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEVICE
NO_DEVICES = ~((1 << 6) | (1 << 9) | (1 << 10) | (1 << 11) | (1 << 12))  # nor sockets, FIFOs and symbolic links


def landlock_abi() -> int:
    """Version of the kernel's Landlock; 0 where there is none."""
    return max(0, int(libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, 1)))


def landlock(read: list[str], execute: list[str], write: list[str], devices: list[str]) -> None:
    """Let this process reach nothing but these paths; does nothing where the kernel has no Landlock."""
    abi = landlock_abi()
    if abi == 0:
        return
    handled = max(rights for version, rights in RIGHTS_BY_ABI.items() if version <= abi)
    attributes = struct.pack("QQQ", handled, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = check(libc.syscall(SYS_LANDLOCK_CREATE_RULESET, attributes, size, 0), "landlock_create_ruleset")
    for rights, paths in (
        (READ_FILE | READ_DIR, read),
        (EXECUTE | READ_FILE | READ_DIR, execute),
        (handled & NO_DEVICES & ~EXECUTE, write),
        (READ_FILE | READ_DIR | WRITE_FILE | IOCTL_DEVICE, devices),
    ):
        for path in paths:
            try:
                opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            allowed = handled & (rights if os.path.isdir(path) else rights & FILE_RIGHTS)  # noqa: PTH112
            rule = struct.pack("=Qi", allowed, opened)
            check(libc.syscall(SYS_LANDLOCK_ADD_RULE, ruleset, 1, rule, 0), f"landlock_add_rule {path}")
            os.close(opened)
    check(libc.syscall(SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


# --- seccomp (seccomp(2); numbers of linux/arch/*/include/…/unistd*.h) --------------------------------------------
X32_BIT = 0x40000000
CLONE_THREAD = 0x10000
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = 1, 38
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# The kernel's new calls have one number everywhere: pidfd_send_signal, io_uring_*, open_tree … fspick, pidfd_open,
# pidfd_getfd, process_madvise, mount_setattr, fchmodat2, setxattrat, removexattrat, open_tree_attr.
DENIED_EVERYWHERE = [424, 425, 426, 427, 428, 429, 430, 431, 432, 433, 434, 438, 440, 442, 452, 463, 466, 467]
DENIED = {
    "x86_64": {
        "sockets": [41, 42, 43, 44, 45, 46, 47, 49, 50, 53, 288, 299, 307],
        "processes": [57, 58, 101, 109, 112, 129, 135, 200, 297, 310, 311, 312],
        "shared memory and queues": [29, 64, 68, 240],
        "mounts and namespaces": [155, 161, 165, 166, 272, 303, 304, 308],
        "the kernel": [103, 154, 163, 167, 168, 169, 170, 171, 172, 173, 175, 176, 179, 246, 298, 313, 320, 321, 323],
        "keys": [248, 249, 250],
        "modes, owners, times, attributes": [
            *(90, 91, 92, 93, 94, 132, 133, 188, 189, 190, 197, 198, 199, 235, 259, 260, 261, 268, 280)
        ],
    },
    "aarch64": {
        "sockets": [198, 199, 200, 201, 202, 203, 206, 207, 211, 212, 242, 243, 269],
        "processes": [92, 117, 130, 138, 154, 157, 240, 270, 271, 272],
        "shared memory and queues": [180, 186, 190, 194],
        "mounts and namespaces": [39, 40, 41, 51, 97, 264, 265, 268],
        "the kernel": [60, 89, 104, 105, 106, 116, 142, 161, 162, 224, 225, 241, 273, 280, 282, 294],
        "keys": [217, 218, 219],
        "modes, owners, times, attributes": [5, 6, 7, 14, 15, 16, 33, 52, 53, 54, 55, 88],
    },
}
# Calls that depend on their first argument.
CLONE = {"x86_64": 56, "aarch64": 220}
KILL = {"x86_64": (62, 234), "aarch64": (129, 131)}  # kill, tgkill
PRCTL = {"x86_64": 157, "aarch64": 167}
PRLIMIT = {"x86_64": 302, "aarch64": 261}
CLONE3 = 435

LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data; low half of the argument


def seccomp_program(machine: str, process: int) -> bytes:
    """The filter for `process` as BPF code (struct sock_filter); empty on a machine without a table."""
    if machine not in DENIED:
        return b""
    code: list[tuple[int, int, int, int]] = []

    def when(number: int, *then: tuple[int, int, int, int]) -> None:
        """Do `then`, which must end in a return, if the call's number is `number`."""
        code.extend([(JUMP_EQUAL, 0, len(then), number), *then])

    refuse, allow = (RETURN, 0, 0, ERRNO | EPERM), (RETURN, 0, 0, ALLOW)
    argument = (LOAD, 0, 0, FIRST_ARGUMENT)
    code += [(LOAD, 0, 0, ARCHITECTURE), (JUMP_EQUAL, 1, 0, AUDIT_ARCH[machine]), (RETURN, 0, 0, KILL_PROCESS)]
    code += [(LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":
        code += [(JUMP_GREATER_EQUAL, 0, 1, X32_BIT), refuse]
    for numbers in (*DENIED[machine].values(), DENIED_EVERYWHERE):
        for number in numbers:
            when(number, refuse)
    when(CLONE[machine], argument, (JUMP_SET, 0, 1, CLONE_THREAD), allow, refuse)  # threads, no processes
    when(CLONE3, (RETURN, 0, 0, ERRNO | ENOSYS))  # its flags are in memory, out of reach: libc then takes clone
    for number in KILL[machine]:
        when(number, argument, (JUMP_EQUAL, 0, 1, process), allow, refuse)  # abort() is allowed
    when(PRCTL[machine], argument, (JUMP_EQUAL, 1, 0, PR_SET_PDEATHSIG), allow, refuse)
    when(PRLIMIT[machine], argument, (JUMP_EQUAL, 1, 0, 0), (JUMP_EQUAL, 0, 1, process), allow, refuse)
    code.append(allow)
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def seccomp() -> None:
    """Install the filter; does nothing on a machine without a table of system calls."""
    program = seccomp_program(platform.machine(), os.getpid())
    if not program:
        return
    buffer = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
    check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0), "seccomp")


# --- the rest -----------------------------------------------------------------------------------------------------
def die_with_parent(parent: int) -> None:
    """Be killed when the thread that started us ends; end now if that has happened already."""
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")
    if os.getppid() != parent:
        raise SystemExit(FAILED)


def limit(kind: int, soft: int, hard: int | None = None) -> None:
    """Set a resource limit, never above what is allowed now."""
    most = resource.getrlimit(kind)[1]
    ceiling = soft if hard is None else hard
    if most != resource.RLIM_INFINITY:
        soft, ceiling = min(soft, most), min(ceiling, most)
    resource.setrlimit(kind, (soft, ceiling))


def step_back(nice: int) -> None:
    """Lower this process' priority by so much, and its session's likewise.

    Where the kernel shares the processors out by session (autogroup, sched(7)), niceness counts only within one, and
    we are alone in ours. Without rights a session's can be set ten times a second on the whole machine: what runs
    for long waits for its turn, the rest does without.
    """
    nice = os.nice(nice)
    for _ in range(20 if nice >= PATIENT else 1):
        try:
            with open("/proc/self/autogroup", "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(str(nice))
        except BlockingIOError:
            time.sleep(0.05)
            continue
        except OSError:
            pass  # this kernel has none
        break


def drop_capabilities() -> None:
    """As root: keep only what reads and writes files whoever owns them (Landlock says which)."""
    kept = (1 << 1) | (1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if os.geteuid() == 0:
        header = struct.pack("Ii", 0x20080522, 0)
        check(libc.capset(header, struct.pack("6I", kept, kept, 0, 0, 0, 0)), "capset")


def confine(spec: dict[str, object]) -> None:
    """Apply all of it to this process."""
    number = {key: value for key, value in spec.items() if isinstance(value, int)}
    paths = {key: [str(path) for path in value] for key, value in spec.items() if isinstance(value, list)}
    os.closerange(3, 65536)
    die_with_parent(number["parent"])
    step_back(number["nice"])
    os.umask(0o077)
    os.chdir(str(spec["cwd"]))
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("1000")  # short of memory, the kernel ends us and not the server or the database
    if paths["cores"]:
        os.sched_setaffinity(0, {int(core) for core in paths["cores"]})
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_CPU, number["cpu_seconds"], number["cpu_seconds"] + 5)
    # Not RLIMIT_AS: decoders reserve far more addresses than they use. This counts what is private and writable.
    limit(resource.RLIMIT_DATA, number["memory"])
    limit(resource.RLIMIT_STACK, 2 * 1024 * 1024)  # also the size of each thread's stack, which counts above
    limit(resource.RLIMIT_FSIZE, number["file_size"])
    limit(resource.RLIMIT_NOFILE, number["open_files"])
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    drop_capabilities()
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    landlock(paths["read"], paths["execute"], paths["write"], paths["devices"])
    seccomp()
