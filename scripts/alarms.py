"""Puts the alarms on trial: healthy runs, and runs made to collapse, in the miniature world.

`python scripts/alarms.py` plays `sena`, `too-fast` (a learning rate fifty times too high) and `swapped` (chosen and
rejected have changed places) with seeds 100 to 104 on the tuning pool, from which thresholds are set, and with seeds 0
to 4 on the evaluation pool, on which they are judged. For each alarm it prints in how many runs it fired, and between
what it read in all rounds. The thresholds stand in src/sena/evals/alarms.py. It goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sena import files
from sena.ablate.fired import JUDGED, SET, alarm_cells, fired, markdown
from sena.ablate.run import kept_cells, run_cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/evidence"))
    parser.add_argument("--only", choices=["set", "judged"], help="one of the two halves")
    parser.add_argument("--seeds", type=int, nargs="+", help="other seeds, of that half")
    parser.add_argument("--kept", action="store_true", help="run nothing, tell what is there")
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    for half, seeds in (("set", SET), ("judged", JUDGED)):
        if options.only in (None, half):
            seeds = options.seeds or seeds
            cells = alarm_cells(seeds, options.settings)
            found = kept_cells(cells, options.out) if options.kept else run_cells(cells, options.out, options.jobs)
            page = (
                f"Thresholds {half} on seeds {', '.join(map(str, options.seeds or seeds))}:\n\n{markdown(fired(found))}"
            )
            files.write_text(options.out / f"alarms-{half}.md", page)
            print(page)


if __name__ == "__main__":
    main()
