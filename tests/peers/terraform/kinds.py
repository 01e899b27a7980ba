#!/usr/bin/env python3
"""Counts the kinds of Terraform's AWS provider that the configurations in this folder create, against the list `kinds`.

    kinds.py            checks the list, and prints the counts
    kinds.py --write    the same, and writes them into docs/src/fidelity.md
"""

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[2] / "docs/src/fidelity.md"
BEGIN, END = "<!-- tests/peers/terraform/kinds.py --write -->\n", "<!-- end of kinds -->\n"


def listed():
    """Returns the kinds of the list with the reason why no configuration creates them; an empty one if one does."""
    lines = [line.strip() for line in (HERE / "kinds").read_text().splitlines()]
    pairs = [line.partition(":")[::2] for line in lines if line and not line.startswith("#")]
    return {kind: reason.strip() for kind, reason in pairs}


def created():
    """Returns the kinds of the configurations that `run` applies."""
    kinds = set()
    for main in HERE.glob("*/main.tf"):
        if "var.stage" in main.read_text():
            for file in main.parent.rglob("*.tf"):
                kinds |= set(re.findall(r'^resource "(\w+)"', file.read_text(), re.MULTILINE))
    return kinds


def main():
    kinds, tested = listed(), created()
    missing = [kind for kind, reason in kinds.items() if not reason and kind not in tested]
    needless = [kind for kind, reason in kinds.items() if reason and kind in tested]
    if missing or needless or len(kinds) != 100:
        sys.exit(f"{len(kinds)} kinds; without reason and configuration: {missing}; with both: {needless}")
    count = sum(not reason for reason in kinds.values())
    reasons = [f"- `{kind}`: {reason}" for kind, reason in kinds.items() if reason and reason != "another service"]
    others = [f"`{kind}`" for kind, reason in kinds.items() if reason == "another service"]
    text = "\n".join([
        f"Configurations create {len(tested)} kinds of resources, among them {count} of the 100 that are used most. The others:",
        "", *reasons, f"- services that the local cloud does not have: {', '.join(others)}",
    ])
    print(text)
    if sys.argv[1:] == ["--write"]:
        before, rest = PAGE.read_text().split(BEGIN)
        PAGE.write_text(before + BEGIN + "\n" + text + "\n\n" + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
