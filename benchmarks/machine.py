"""Child processes that are measured, and what the figures depend on."""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple


class Child(NamedTuple):
    record: Any
    """What the child wrote to standard output, read as JSON (whole, or else its last line)."""
    seconds: float
    """Wall seconds of the whole process, start-up included."""
    cpu_seconds: float
    """User and system seconds over all its threads: on a busy machine steadier than `seconds`."""
    peak_rss: int
    """Bytes: largest resident size of the process, or of one of the processes it waited for."""
    stderr: str


# The kernel lets a child start with its parent's peak as its own, so a small process that starts
# the real child reports it: its RUSAGE_CHILDREN starts at the few megabytes of a bare Python.
_LAUNCHER = """
import os, resource, subprocess, sys, time
begun = time.monotonic()
code = subprocess.call(sys.argv[2:])
seconds = time.monotonic() - begun
used = resource.getrusage(resource.RUSAGE_CHILDREN)
report = f"{code} {seconds} {used.ru_utime + used.ru_stime} {used.ru_maxrss * 1024}"
os.write(int(sys.argv[1]), report.encode())
"""


def run_child(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
    codes: Sequence[int] = (0,),
) -> Child:
    """Run a command as its own process and read the JSON it prints. `env` is added to ours.

    The child and all it started are ended if we are interrupted or `timeout` seconds pass.
    Raises RuntimeError with the end of its standard error if its exit code is not in `codes`.
    """
    reads, writes = os.pipe()
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(writes), *map(str, command)]
    process = subprocess.Popen(
        launcher,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, **(env or {})},
        cwd=cwd,
        pass_fds=(writes,),
        start_new_session=True,
    )
    os.close(writes)
    try:
        stdout, stderr = process.communicate(timeout=timeout)
        report = os.read(reads, 200).decode().split()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    finally:
        os.close(reads)
    code = int(report[0]) if report else -1
    if code not in codes:
        what = " ".join(Path(str(part)).name for part in command[:3])
        raise RuntimeError(f"{what} ended with {code}: {stderr.strip()[-2000:]}")
    seconds, cpu_seconds, peak = report[1:]
    return Child(_last_json(stdout), float(seconds), float(cpu_seconds), int(peak), stderr)


def peak_rss() -> int:
    """Bytes: the largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def set_threads(n: int) -> None:
    """Limit every numeric library here, and in child processes, to n threads."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(n)
    threadpool_limits(n)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(n)


def threads() -> int:
    """Threads that a numeric library started now would use."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    return int(named) if named.isdigit() else cores()


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def kept_states() -> Path:
    """Where frozen states that outlive a unit are kept."""
    named = os.environ.get("EQUIPOISE_BENCH_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "equipoise-benchmarks"


def native_bfloat16() -> bool:
    """Whether the processor has tiles for matrices of bfloat16; without, float32 is quicker."""
    return re.search(r"^flags\s*:.*\bamx_bf16\b", _cpuinfo(), re.MULTILINE) is not None


def _cpuinfo() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def machine() -> dict[str, Any]:
    """What the figures depend on; nothing that names the machine or its folders."""
    found = re.search(r"^model name\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    model = found.group(1).strip() if found else platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": cores(),
        "cpu": model,
        "bfloat16": native_bfloat16(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "transformers", "scikit-learn", "numpy")},
    }


def _last_json(stdout: str) -> Any:
    for text in (stdout, (stdout.strip().splitlines() or [""])[-1]):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            continue
    return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
