"""Reports tests that cannot run on this machine.

    python3 tests/peers/skips.py NAME REASON    reports that a test is skipped
    python3 tests/peers/skips.py --check LIST   prints the reported tests, and fails for one that LIST does not contain

A report is a line on standard output, and in the file that INFRA_SKIPS names.
"""

import os
import re
import sys


def skip(name, reason):
    line = f"SKIPPED {name}: {reason}"
    print(line, flush=True)
    if path := os.environ.get("INFRA_SKIPS"):
        with open(path, "a") as file:
            file.write(line + "\n")


def check(path):
    with open(path) as file:
        names = (line.split("#")[0].strip() for line in file)
        accepted = {name for name in names if name}
    with open(os.environ["INFRA_SKIPS"]) as file:
        reported = sorted(set(file.read().splitlines()))
    print("\n".join(reported) or "no test was skipped")
    names = [re.match(r"SKIPPED (.+?): ", line).group(1) for line in reported]
    unexpected = [name for name in names if name not in accepted]
    if unexpected:
        sys.exit(f"{path} does not list {', '.join(unexpected)}: make them run, or add them with the reason")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--check", path]:
            check(path)
        case [name, reason]:
            skip(name, reason)
        case _:
            sys.exit(__doc__)
