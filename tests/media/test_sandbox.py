"""Nothing gets out of the sandbox: no file but the input, no connection, no other process, and nothing stays behind."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import uvloop

from openstage.errors import Unavailable
from openstage.media import jail
from openstage.media.errors import ScratchFull, TookTooLong, ToolKilled, ToolMissing, Unplayable
from openstage.media.helper import python_libraries
from openstage.media.sandbox import Finished, Limits, confinement, run, warm_up
from tests.media.support import convert
from tests.support.fixtures import make_clip
from tests.support.waiting import wait_for, wait_until

LIMITS = Limits(seconds=20, cpu_seconds=10)
needs_landlock = pytest.mark.skipif(jail.landlock_abi() == 0, reason="this kernel has no Landlock")


async def python(
    code: str, scratch: Path | None = None, limits: Limits = LIMITS, readable: tuple[Path, ...] = ()
) -> Finished:
    """Run Python code in the sandbox."""
    program, libraries = python_libraries()
    argv = [str(program), "-I", "-S", "-c", code]
    return await run(argv, limits=limits, readable=readable, writable=scratch, libraries=libraries)


BEFORE: set[psutil.Process] = set()


@pytest.fixture(autouse=True)
def others() -> None:
    """Leave out what runs already: the launcher, and servers that other tests of this session share."""
    warm_up()
    BEFORE.clear()
    BEFORE.update(psutil.Process().children(recursive=True))


def mine() -> list[psutil.Process]:
    """Living processes that this one started."""
    children = psutil.Process().children(recursive=True)
    return [it for it in children if it not in BEFORE and it.status() != psutil.STATUS_ZOMBIE]


async def test_a_program_runs_and_tells(tmp_path: Path) -> None:
    finished = await python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", tmp_path)
    assert (finished.status, finished.stdout, finished.stderr) == (3, b"out\n", "err")


@needs_landlock
async def test_only_the_input_can_be_read_and_only_the_scratch_folder_written(tmp_path: Path) -> None:
    given, secret, scratch = tmp_path / "given", tmp_path / "secret", tmp_path / "scratch 目录"
    given.write_text("given")
    secret.write_text("secret")
    scratch.mkdir()
    code = f"""
import os
def trying(what, *arguments):
    try: return repr(what(*arguments))
    except OSError as error: return type(error).__name__
print(open({str(given)!r}).read())
print(trying(open, {str(secret)!r}), trying(open, {str(given)!r}, 'a'), trying(open, {str(tmp_path / "new")!r}, 'w'))
print(trying(os.listdir, {str(tmp_path)!r}), trying(os.listdir, '/proc'), trying(open, '/etc/passwd'))
secret, given = {str(secret)!r}, {str(given)!r}
print(trying(os.unlink, given), trying(os.symlink, secret, 'link'), trying(os.rename, secret, 'stolen'))
print(trying(os.truncate, secret, 0), trying(os.chmod, given, 0o777), trying(os.utime, given))
open('made', 'w').write('made'); os.rename('made', 'renamed'); print(open('renamed').read())
"""
    finished = await python(code, scratch, readable=(given,))
    denied = "PermissionError"
    lines = finished.stdout.decode().splitlines()
    assert lines == ["given", *[f"{denied} {denied} {denied}"] * 4, "made"], finished.stderr
    assert (secret.read_text(), given.read_text()) == ("secret", "given")
    assert sorted(it.name for it in tmp_path.rglob("*")) == ["given", "renamed", "scratch 目录", "secret"]


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.socket()",
        "import socket; socket.socket(socket.AF_UNIX)",
        "import socket; socket.socketpair()",
        "import os; os.fork()",
        "import os; os.kill(os.getppid(), 0)",
        "import os, signal; signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)",
        "import os; os.setsid()",
        "import os; os.posix_spawn('/bin/true', ['true'], {})",
        "import os; os.chmod('.', 0o777)",
        "import resource, os; resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
        "import os; os.unshare(os.CLONE_NEWUSER)" if sys.version_info >= (3, 12) else "import os; os.mkfifo('x')",
    ],
)
async def test_no_connections_processes_or_signals(code: str, tmp_path: Path) -> None:
    finished = await python(code, tmp_path)
    assert finished.status == 1
    assert "PermissionError" in finished.stderr


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ptrace", (16, 1)),
        ("io_uring_setup", (8, 0)),
        ("bpf", (0, 0, 0)),
        ("mount", (0, 0, 0, 0, 0)),
        ("prctl", (1, 0)),
    ],
)
async def test_dangerous_system_calls_are_refused(name: str, arguments: tuple[int, ...], tmp_path: Path) -> None:
    numbers = {"ptrace": 101, "io_uring_setup": 425, "bpf": 321, "mount": 165, "prctl": 157}
    if os.uname().machine != "x86_64":
        pytest.skip("numbers of x86-64")
    call = (numbers[name], *arguments)
    code = f"import ctypes; c = ctypes.CDLL(None, use_errno=True); c.syscall{call}; print(ctypes.get_errno())"
    assert (await python(code, tmp_path)).stdout == b"1\n"


async def test_it_has_no_environment_and_no_open_files(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        code = """
import os
print(dict(os.environ))
for descriptor in range(3, 300):
    try: print(os.fstat(descriptor))
    except OSError: pass
"""
        finished = await python(code, tmp_path)
    assert finished.stdout.decode().splitlines() in (["{}"], ["{'LC_CTYPE': 'C.UTF-8'}"])


async def test_limits_hold(tmp_path: Path) -> None:
    with pytest.raises(TookTooLong, match="processor time"):
        await python("while True: pass", tmp_path, Limits(seconds=30, cpu_seconds=1))
    with pytest.raises(TookTooLong, match="1 s"):
        await python("import time; time.sleep(60)", tmp_path, Limits(seconds=1, cpu_seconds=10))
    code = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL); open('big', 'wb').write(bytes(1 << 20))"
    with pytest.raises(Unplayable, match="too large"):
        await python(code, tmp_path, Limits(seconds=9, cpu_seconds=9, file_size=4096))
    memory = await python("bytearray(1 << 30)", tmp_path, Limits(seconds=9, cpu_seconds=9, memory=256 << 20))
    assert "MemoryError" in memory.stderr
    with pytest.raises(Unplayable):
        await python("print('x' * 10000)", tmp_path, Limits(seconds=9, cpu_seconds=9, output=1000))
    assert mine() == []


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL"])
async def test_a_crashing_decoder_is_the_files_fault(name: str, tmp_path: Path) -> None:
    with pytest.raises(Unplayable, match=name):
        await python(f"import os, signal; os.kill(os.getpid(), signal.{name})", tmp_path)


async def test_what_others_do_to_a_tool_is_transient(tmp_path: Path) -> None:
    for name in ("SIGKILL", "SIGTERM"):
        with pytest.raises(ToolKilled) as caught:
            await python(f"import os, signal; os.kill(os.getpid(), signal.{name})", tmp_path)
        assert isinstance(caught.value, Unavailable)
    with pytest.raises(ScratchFull) as full:
        await python("import os; os.write(2, b'av_write: No space left on device'); os._exit(1)", tmp_path)
    assert isinstance(full.value, Unavailable)
    with pytest.raises(ToolMissing):
        await run(["/nowhere/ffmpeg"], limits=LIMITS)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
async def test_a_disk_that_runs_full_is_told(tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", str(tmp_path)], check=False).returncode:
        pytest.skip("can't mount here")
    try:
        with pytest.raises(ScratchFull):
            await python("open('big', 'wb').write(bytes(1 << 20))", tmp_path)
        (tmp_path / "big").unlink()
        with pytest.raises(ScratchFull):
            await convert(make_clip(), tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


async def test_what_a_tool_says_is_bounded(tmp_path: Path) -> None:
    finished = await python("import sys; sys.stderr.write('x' * 1000000 + 'end')", tmp_path)
    assert len(finished.stderr) <= 8192
    assert finished.stderr.endswith("end")


async def test_lines_come_as_they_are_written(tmp_path: Path) -> None:
    program, libraries = python_libraries()
    code = "import time\nfor n in range(3): print(n, flush=True)\nprint('y' * 200000)"
    lines: list[str] = []
    argv = [str(program), "-I", "-S", "-c", code]
    finished = await run(argv, limits=LIMITS, writable=tmp_path, libraries=libraries, on_line=lines.append)
    assert lines[:3] == ["0", "1", "2"]
    assert finished.stdout == b""


async def test_an_error_in_the_listener_ends_the_tool(tmp_path: Path) -> None:
    def refuse(line: str) -> None:
        raise RuntimeError(line)

    program, libraries = python_libraries()
    argv = [str(program), "-I", "-S", "-c", "print('hello', flush=True)\nwhile True: pass"]
    with pytest.raises(RuntimeError, match="hello"):
        await run(argv, limits=LIMITS, writable=tmp_path, libraries=libraries, on_line=refuse)
    assert mine() == []


async def test_cancelling_leaves_nothing_running(tmp_path: Path) -> None:
    code = "open('here', 'w')\nwhile True: pass"
    running = [asyncio.create_task(python(code, tmp_path)) for _ in range(3)]

    async def started() -> bool:
        return (tmp_path / "here").exists() and len(mine()) == 3

    await wait_until(started, what="three tools")
    for task in running:
        task.cancel()
    results = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(it, asyncio.CancelledError) for it in results)
    assert mine() == []


async def test_cancelling_while_it_starts_leaves_nothing_running(tmp_path: Path) -> None:
    for _ in range(5):
        task = asyncio.create_task(python("while True: pass", tmp_path))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert mine() == []


async def test_a_launcher_that_was_ended_is_replaced(tmp_path: Path) -> None:
    await python("pass", tmp_path)
    lasting = asyncio.create_task(python("open('here', 'w')\nwhile True: pass", tmp_path))
    await wait_until(lambda: asyncio.to_thread((tmp_path / "here").exists), what="a tool at work")
    launchers = [it for it in psutil.Process().children() if "launcher.py" in " ".join(it.cmdline())]
    tools = psutil.Process(launchers[0].pid).children()
    assert (len(launchers), len(tools)) == (1, 1)
    launchers[0].kill()
    with pytest.raises(ToolKilled):
        await lasting
    assert (await python("print('again')", tmp_path)).stdout == b"again\n"
    await asyncio.to_thread(psutil.wait_procs, tools, timeout=10)
    assert not any(it.is_running() for it in tools)


STARTER = """
import asyncio, os, sys
sys.path[:0] = {path!r}
from pathlib import Path
from tests.media.test_sandbox import python
pid = Path({folder!r}, "pid")
async def main():
    code = "import os; open('pid', 'w').write(str(os.getpid()))\\nwhile True: pass"
    task = asyncio.create_task(python(code, pid.parent))
    while not pid.exists() or not pid.read_text():
        await asyncio.sleep(0.01)
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""


def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    starter = STARTER.format(path=sys.path, folder=str(tmp_path))
    subprocess.run([sys.executable, "-c", starter], check=False, timeout=60)
    tool = int((tmp_path / "pid").read_text())
    wait_for(lambda: not alive(tool), within=10, what="the end of the tool")


def alive(process: int) -> bool:
    """Whether a process lives; a dead one whose new parent hasn't taken note of it doesn't."""
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def test_it_works_under_uvloop_and_in_a_thread(tmp_path: Path) -> None:
    def elsewhere() -> Finished:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(python("print('there')", tmp_path))

    assert (await asyncio.to_thread(elsewhere)).stdout == b"there\n"


def test_this_machine_confines() -> None:
    assert confinement().seccomp


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel doesn't share by session")
async def test_a_tool_steps_back_behind_other_sessions_too(tmp_path: Path) -> None:
    limits = Limits(seconds=20, cpu_seconds=10, nice=15)
    running = asyncio.create_task(python("import time; print(1, flush=True); time.sleep(60)", tmp_path, limits))

    def session() -> str:
        # Of the process that has stepped back, whatever this test itself runs under.
        found = [it for it in mine() if it.nice() >= 15]
        return Path(f"/proc/{found[0].pid}/autogroup").read_text().rpartition("nice ")[2].strip() if found else ""

    try:
        expected = str(min(19, os.nice(0) + 15))
        await wait_until(lambda: asyncio.to_thread(lambda: session() == expected), what="a session that steps back")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
