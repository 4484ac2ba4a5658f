"""Reads bad weights of one kind: `python -m tests.fuzz.weights_child KIND COUNT FOLDER`.

Each case has a folder of its own, and nothing may appear outside of it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.children import try_all
from tests.fuzz.hostile import HOSTILE
from tests.fuzz.served_kinds import SERVED_KINDS
from tests.fuzz.small_weights import Weights, make_nets_small
from tests.fuzz.weights_kinds import KINDS


def main() -> None:
    """Try the mutations of one kind."""
    kind, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    make_nets_small()
    made = folder / "made"
    made.mkdir()
    small = Weights(made)
    make_cases = next(
        function for function in (*KINDS, *SERVED_KINDS, *HOSTILE) if function.__name__ == kind
    )
    case_folder = folder / "case"

    def in_a_folder_of_its_own(attempt: Callable[[], str]) -> Callable[[], str]:
        def run() -> str:
            shutil.rmtree(case_folder, ignore_errors=True)
            case_folder.mkdir()
            outcome = attempt()
            assert {path.name for path in folder.iterdir()} == {"made", "case"}
            return outcome

        return run

    cases = make_cases(small, case_folder, count)
    try_all((name, in_a_folder_of_its_own(attempt)) for name, attempt in cases)


if __name__ == "__main__":
    main()
