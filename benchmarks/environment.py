"""How much disk the environment that runs this takes, and which of its packages take most.

    python -m benchmarks.environment [--most 12]

Of a package that nothing in ``requirements.txt`` names, the table says which of those brings it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.machine import describe_machine
from pipeline.settings import ROOT

MB = 1_000_000


def main() -> None:
    """Print the size of the environment, and the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--most", type=int, default=12, help="how many packages")
    given = options.parse_args()
    installed: dict[str, Distribution] = {canonicalize_name(one.metadata["Name"]): one for one in distributions()}
    sizes = {name: _size(_files(one)) for name, one in installed.items()}
    brought_by = _brought_by(installed)
    print(describe_machine())
    print(f"{_size(Path(sys.prefix).rglob('*')) / MB:,.0f} MB, {len(installed)} packages\n")
    print("| MB | package | comes with |\n|---|---|---|")
    for name in sorted(sizes, key=lambda name: -sizes[name])[: given.most]:
        print(f"| {sizes[name] / MB:.0f} | {name} | {brought_by.get(name, 'nothing that is required')} |")


def _files(package: Distribution) -> list[Path]:
    return [Path(str(package.locate_file(file))) for file in package.files or ()]


def _size(files: Iterable[Path]) -> int:
    """Return the bytes of files; links count for nothing."""
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())


def _brought_by(installed: dict[str, Distribution]) -> dict[str, str]:
    """Return how each package came: "itself" where it is required, else which requirement brings it most directly."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    waiting: list[tuple[str, str]] = [
        (canonicalize_name(one.name), canonicalize_name(one.name)) for one in requirements
    ]
    ways = {name: "itself" for name, _ in waiting}
    for name, root in waiting:  # grows: what is nearest comes first
        needs = map(Requirement, installed[name].requires or () if name in installed else ())
        for need in (canonicalize_name(one.name) for one in needs if one.marker is None or one.marker.evaluate()):
            if need not in ways:
                ways[need] = root
                waiting.append((need, root))
    return ways


if __name__ == "__main__":
    main()
