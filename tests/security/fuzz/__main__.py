"""Fuzz for as long as one says:

    python -m tests.security.fuzz TARGET SECONDS [--seed N] [--input FILE]

With atheris (libFuzzer, guided by coverage) where it is installed, else by mutations at random from a seed that is printed. What fails is
kept in `.fuzz/`, and is the exit status; `--input` runs such a file again.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.security.fuzz.judge import judged, mutated

if TYPE_CHECKING:
    from tests.security.fuzz.targets import Target

FOLDER = Path(".fuzz")
MEMORY = 2 << 30
"""Bytes of address space that the loop at random may take."""
KEPT = 2_000
"""Inputs from which it goes on."""


def targets() -> dict[str, Target]:
    """The table, its code counted by atheris where there is one."""
    if find_spec("atheris"):
        import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

        with atheris.instrument_imports(include=["kubeedge_actors"]):
            from tests.security.fuzz.targets import TARGETS
    else:
        from tests.security.fuzz.targets import TARGETS
    return TARGETS


def failed(name: str, data: bytes) -> int:
    """Keep an input, and say why it failed; the exit status."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}-{random.getrandbits(32):08x}"
    path.write_bytes(data)
    traceback.print_exc()
    print(f"{name}: failed on the {len(data)} bytes in {path}: {data[:200]!r}")
    return 1


def at_random(name: str, target: Target, seconds: float, seed: int) -> int:
    """Mutations from a seed; the exit status."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    choices, pool, count = random.Random(seed), list(target.seeds), 0
    print(f"{name}: without atheris, at random, --seed {seed}", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = mutated(choices, pool)
        count += 1
        try:
            judged(target, data, memory=count % 50 == 0)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return failed(name, data)
        if choices.randrange(20) == 0:
            pool[len(target.seeds) :] = [*pool[len(target.seeds) :][-KEPT:], data]
    print(f"{name}: {count:,} inputs, nothing found")
    return 0


def guided(name: str, target: Target, seconds: float, seed: int) -> int:
    """By coverage, until the time is over: atheris ends the process itself."""
    import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

    corpus = FOLDER / f"corpus-{name}"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(each)

    def one(data: bytes) -> None:
        judged(target, data, memory=False)

    limits = (f"-max_total_time={seconds:.0f}", "-rss_limit_mb=2048", "-timeout=20", "-max_len=20000")
    atheris.Setup([sys.argv[0], *limits, f"-seed={seed}", f"-artifact_prefix={FOLDER}/{name}-", str(corpus)], one)
    atheris.Fuzz()
    return 0


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=(table := targets()))
    parser.add_argument("seconds", type=float, nargs="?", default=60.0)
    parser.add_argument("--seed", type=int, default=random.getrandbits(31))
    parser.add_argument("--input", type=Path, help="run this input alone")
    options = parser.parse_args()
    target = table[options.target]
    if options.input is not None:
        judged(target, options.input.read_bytes())
        return 0
    run = guided if find_spec("atheris") else at_random
    return run(options.target, target, options.seconds, options.seed)


if __name__ == "__main__":
    sys.exit(main())
