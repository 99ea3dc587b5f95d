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
    required = [Requirement(line) for line in lines if line and not line.startswith("#")]
    ways: dict[str, str] = {canonicalize_name(one.name): "itself" for one in required}
    waiting, seen = [(one, one.name) for one in required], set()
    for asked, root in waiting:  # grows: what is nearest comes first
        name = canonicalize_name(asked.name)
        ways.setdefault(name, root)
        if name in installed and (name, *sorted(asked.extras)) not in seen:
            seen.add((name, *sorted(asked.extras)))
            for need in map(Requirement, installed[name].requires or ()):
                extras = ("", *asked.extras)
                if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras):
                    waiting.append((need, root))
    return ways


if __name__ == "__main__":
    main()
