#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every file or directory that README.md and docs/ name in `backticks` must exist.

A word counts as a path when it starts with a top-level directory of the tree and a slash. `build/` is made, not kept.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUOTED = re.compile(r"`([^`\s]+)`")


def main():
    tops = {entry.name for entry in ROOT.iterdir() if entry.is_dir() and entry.name not in {"build", ".git"}}
    named, missing = 0, []
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if not document.exists():
            continue
        for match in QUOTED.finditer(document.read_text(encoding="utf-8")):
            word = match.group(1).rstrip(".,:;")
            if "/" not in word or word.split("/")[0] not in tops or any(c in word for c in "*<>$="):
                continue
            named += 1
            for path in re.sub(r"\{([^{},]+),([^{}]+)\}", r"\1", word), re.sub(r"\{([^{},]+),([^{}]+)\}", r"\2", word):
                if not (ROOT / path).exists():
                    missing.append(f"{document.relative_to(ROOT)}: `{path}` does not exist")
    print(*dict.fromkeys(missing), sep="\n", end="\n" if missing else "")
    print(f"documentation: {named} paths named, {len(set(missing))} missing")
    return 1 if missing or not named else 0


if __name__ == "__main__":
    sys.exit(main())
