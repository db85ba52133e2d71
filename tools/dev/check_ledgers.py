#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the ledgers docs/rfc*.md name in the columns "Where" and "Test" must exist.

- A file in `backticks` is one whose path ends so.
- function() occurs in one of the files named in its cell, or anywhere in the sources when the cell names none.
- A capitalized word in the column "Test" is a test, a suite or a class of tests, and in the file named right before it,
  if there is one; "..." after it stands for the rest of the name. So is a word of three humps anywhere else.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ("common", "controller", "dns64-svc", "isthmusctl", "nat64-svc")
FILE = re.compile(r"`([\w./-]+\.(?:cpp|hpp|c|h|py|patch))`")
FUNCTION = re.compile(r"\b(\w+)\(\)")
TOKEN = re.compile(r"`([^`]*)`|\b([A-Z][A-Za-z0-9]*[a-z][A-Za-z0-9]*)(\.\.\.)?|[,;]")
LONG_NAME = re.compile(r"\b((?:[A-Z][a-z0-9]+){3,})\b(?!::)")
TEST = re.compile(r"^\s*(?:TEST(?:_F|_P)?|TYPED_TEST)\((\w+), (\w+)\)|^\s*class (\w+)|^\s*def (test_\w+)", re.MULTILINE)


def texts(tops):
    """Path below the root, and what is in it."""
    found = {}
    for top in tops:
        for path in (ROOT / top).rglob("*"):
            if path.suffix in {".cpp", ".hpp", ".c", ".h", ".py", ".patch"}:
                found[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
    return found


def named(files, word):
    return [path for path in files if path == word or path.endswith("/" + word)]


def test_names(text):
    return {name for match in TEST.finditer(text) for name in match.groups() if name}


def check_files(cell, files):
    return [f"there is no file `{word}`" for word in FILE.findall(cell) if not named(files, word)]


def check_functions(cell, files):
    here = [path for word in FILE.findall(cell) for path in named(files, word)]
    pool = here or [path for path in files if path.split("/")[0] in SOURCES]
    return [f"{name}() is not in {', '.join(here) or 'the sources'}" for name in FUNCTION.findall(cell)
            if not any(re.search(rf"\b{name}\s*\(", files[path]) for path in pool)]


def check_tests(cell, files, tests):
    wrong = []
    everywhere = set().union(*tests.values())
    paths = []  # of the file right before
    for match in TOKEN.finditer(re.sub(r"\([^)]*\)", "", cell)):
        file, word, rest = match.groups()
        if word:
            names = set().union(*(tests[path] for path in paths)) if paths else everywhere
            if not (word in names or (rest and any(name.startswith(word) for name in names))):
                wrong.append(f"there is no test {word}" + (f" in {', '.join(paths)}" if paths else ""))
        paths = [path for path in named(files, file) if path in tests] if file else []
    return wrong


def main():
    files = texts((*SOURCES, "tests", "tools"))
    tests = {path: test_names(text) for path, text in files.items() if path.startswith("tests/")}
    everywhere = set().union(*tests.values())
    rows, wrong = 0, []
    for document in sorted((ROOT / "docs").glob("rfc*.md")):
        for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if not line.startswith("|"):
                found = [f"there is no test {word}" for word in LONG_NAME.findall(line) if word not in everywhere]
            elif len(cells) < 3 or cells[-1] in {"Test", "---"}:
                continue
            else:
                rows += 1
                where, test = cells[-2:]
                found = (check_files(where, files) + check_functions(where, files) + check_files(test, files)
                         + check_tests(test, files, tests))
            wrong += [f"{document.relative_to(ROOT)}:{number}: {what}" for what in found]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"ledgers: {rows} rows, {len(wrong)} wrong")
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
