"""
Play random campaigns and judge each by brute force, for as many as you like, on all cores.

    python scripts/check_campaign_rules.py --campaigns 1000000

Says how many were played and how fast; ends with an error, and the seed that shows it again, if a rule was broken.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter

from campaign_checker import check
from campaign_world import World

CHUNK = 2000


def play(seed: int, count: int = CHUNK) -> Counter[str]:
    """
    Play and judge so many campaigns.

    :return: what there was in them.
    """
    seen: Counter[str] = Counter()
    world = World(seed)
    for number in range(count):
        try:
            story = world.play()
            check(story)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, campaign {number}: {error}") from error
        seen["campaigns"] += 1
        seen["recipients"] += len(story.rows)
        seen["rings"] += len(story.calls)
        seen["decisions"] += len(story.decisions)
        seen.update(f"bucket {ended.bucket.value}" for ended in story.ended)
        seen["rung again"] += len(story.calls) - len({call.row for call in story.calls})
        seen["called back"] += sum(call.wish is not None for call in story.calls)
        seen["stopped"] += story.stopped is not None
    return seen


def main() -> int:
    """Play until done, interrupted or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaigns", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first chunk; each following one adds 1")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    chunks = range(arguments.seed, arguments.seed + -(-arguments.campaigns // CHUNK))
    seen: Counter[str] = Counter()
    started = shown = time.monotonic()
    with multiprocessing.Pool(arguments.processes, maxtasksperchild=20) as pool:
        for found in pool.imap_unordered(play, chunks):
            seen += found
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(f"{seen['campaigns']:>9,} campaigns, {seen['campaigns'] / (shown - started):,.0f}/s", flush=True)
    took = time.monotonic() - started
    for what, count in sorted(seen.items()):
        print(f"{count:>12,} {what}")
    print(f"{seen['campaigns']:,} campaigns in {took:,.0f} s ({seen['campaigns'] / took:,.0f}/s), no rule broken.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
