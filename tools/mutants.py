#!/usr/bin/env python3
"""Breaks the sync engine, one rule at a time, and records which tests notice.

    tools/mutants.py [--work FOLDER [--built]] [--only RULE,RULE]

Reads tools/mutants.toml. All mutants are built into one scratch copy of the repository, each behind a switch that an
environment variable turns on; then the unit tests, and the scenarios that cite the rule, run once for each. Writes
docs/src/reference/mutants.md unless --only is given; leaves with 1 when a mutant is not caught by a test that cites its
rule. Needs Python 3.11 and cargo; touches nothing of the repository but that page. Set CARGO_TARGET_DIR to build
elsewhere than in the scratch copy.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = "docs/src/reference/mutants.md"
PACKAGES = ["wavetank-model", "wavetank-health", "wavetank-sync"]
SWITCH = "WAVETANK_MUTANT"
FINE = {"passed", "knownFailure", "skipped"}
MODULE = """
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub(crate) mod mutants {
    static ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    pub(crate) fn on(id: &str) -> bool {
        ON.get_or_init(|| std::env::var("WAVETANK_MUTANT").ok()).as_deref() == Some(id)
    }
}
"""


def mutants():
    return tomllib.loads((ROOT / "tools/mutants.toml").read_text())["mutant"]


def switched(mutant):
    """The text that stands for `old`: both versions, and a switch between them."""
    old, new = mutant["old"], mutant["new"]
    on = f'crate::mutants::on("{mutant["rule"]}")'
    if "MUTANT" in new:
        return new.replace("MUTANT", on)
    if old.rstrip()[-1] in ";}":
        return f"if {on} {{ {new} }} else {{ {old} }}"
    return f"(if {on} {{ {new} }} else {{ {old} }})"


def copy(work):
    """A scratch copy of what git knows, with every mutant in it."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    for name in filter(None, files.split("\0")):
        source, target = ROOT / name, work / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    crates = set()
    for mutant in mutants():
        path = work / mutant["file"]
        text = path.read_text()
        if text.count(mutant["old"]) != 1:
            sys.exit(f'{mutant["rule"]}: `old` stands {text.count(mutant["old"])} times in {mutant["file"]}')
        path.write_text(text.replace(mutant["old"], switched(mutant)))
        crates.add(mutant["file"].split("/src/")[0])
    for crate in sorted(crates):
        with open(work / crate / "src/lib.rs", "a") as lib:
            lib.write(MODULE)


def build(work):
    """Builds; gives the test executables and the command."""
    base = ["nice", "cargo"]
    subprocess.run(base + ["build", "-p", "wavetank-cli"], cwd=work, check=True)
    packages = [word for package in PACKAGES for word in ("-p", package)]
    out = subprocess.run(
        base + ["test", "--no-run", "--message-format=json"] + packages,
        cwd=work, check=True, stdout=subprocess.PIPE, text=True,
    ).stdout
    tests, command = [], None
    for line in out.splitlines():
        message = json.loads(line) if line.startswith("{") else {}
        if message.get("executable") and message["profile"]["test"]:
            tests.append((Path(message["manifest_path"]).parent, message["executable"]))
    target = os.environ.get("CARGO_TARGET_DIR", str(work / "target"))
    command = Path(target) / "debug/wavetank"
    return tests, command


def run(work, tests, command, rule):
    """What fails with a mutant: tests by crate and name, scenarios by file."""
    environment = os.environ | {SWITCH: rule or ""}
    failed = set()
    for folder, executable in tests:
        try:
            done = subprocess.run(
                [executable], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
            )
            names = re.findall(r"^test (\S+).* \.\.\. FAILED", done.stdout, re.M)
            names += re.findall(r"^    (\S+)$", done.stdout.rpartition("failures:")[2], re.M)
            failed |= {(folder.name, name) for name in names}
            if done.returncode and not names:
                failed.add((folder.name, "(the whole program)"))
        except subprocess.TimeoutExpired:
            failed.add((folder.name, "(no end)"))
    files = [path for path in sorted((work / "scenarios").rglob("*.yaml")) if rule is None or rule in path.read_text()]
    scenarios = set()
    output = work / f"result-{os.getpid()}.json"
    for path in files if rule else []:
        output.unlink(missing_ok=True)
        name = str(path.relative_to(work))
        try:
            subprocess.run(
                [str(command), "run", name, "--format", "json", "-o", str(output)],
                cwd=work, env=environment, capture_output=True, timeout=60,
            )
            runs = json.loads(output.read_text())["runs"]
            if any(one["verdict"] not in FINE for one in runs):
                scenarios.add(name)
        except (subprocess.TimeoutExpired, FileNotFoundError):
            scenarios.add(name)
    return failed, scenarios


def test_texts():
    """Name of each test function in a crate, with the text from its comment to its end."""
    found = {}
    for path in sorted(ROOT.glob("crates/*/**/*.rs")):
        crate = path.relative_to(ROOT / "crates").parts[0]
        lines = path.read_text().splitlines()
        end = -1
        for place, line in enumerate(lines):
            if place <= end or not re.match(r"\s*#\[(test\]|tokio::test|case|rstest)", line):
                continue
            start = place
            while start and lines[start - 1].lstrip().startswith(("//", "#[")):
                start -= 1
            closing = line[: len(line) - len(line.lstrip())] + "}"
            end = next((at for at in range(place, len(lines)) if lines[at] == closing), len(lines) - 1)
            text = "\n".join(lines[start : end + 1])
            name = re.search(r"fn (\w+)", "\n".join(lines[place : end + 1]))
            if name:
                found.setdefault((crate, name[1]), []).append(text)
    return found


def caught(rule, failed, scenarios, texts):
    """Citing scenarios and tests that noticed, and which others did."""
    citing, others = set(), set()
    for crate, name in failed:
        for part in name.split("::"):
            if (crate, part) in texts:
                cites = any(rule in text for text in texts[(crate, part)])
                (citing if cites else others).add(f"{crate} `{part}`")
                break
        else:
            others.add(f"{crate} `{name}`")
    for path in scenarios:
        citing.add("`" + path.removeprefix("scenarios/").removesuffix(".yaml") + "`")
    return sorted(citing), sorted(others - citing)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="scratch folder, kept; default: a new one, removed")
    parser.add_argument("--built", action="store_true", help="the scratch folder is built already: only run")
    parser.add_argument("--only", help="rules, joined by commas")
    arguments = parser.parse_args()
    work = arguments.work or Path(tempfile.mkdtemp(prefix="mutants-"))
    work.mkdir(parents=True, exist_ok=True)
    if not arguments.built:
        copy(work)
    tests, command = build(work)
    texts = test_texts()
    failed, _ = run(work, tests, command, None)
    if failed:
        sys.exit(f"without a mutant these fail: {sorted(failed)}")
    only = arguments.only.split(",") if arguments.only else None
    rows, missed = [], []
    for mutant in mutants():
        if only and mutant["rule"] not in only:
            continue
        failed, scenarios = run(work, tests, command, mutant["rule"])
        citing, others = caught(mutant["rule"], failed, scenarios, texts)
        print(f'{mutant["rule"]} {"caught" if citing else "MISSED"}: {", ".join(citing) or "-"}; others {len(others)}: '
              f'{", ".join(others[:4])}', flush=True)
        if not citing:
            missed.append(mutant["rule"])
        cell = ", ".join(citing) or "**nobody**"
        rows.append(f'| {mutant["rule"]} | {mutant["what"]} | {cell} | {len(others)} |')
    if not only:
        (ROOT / PAGE).write_text(
            "# Mutants of the engine\n\n"
            "Made by `tools/mutants.py` from `tools/mutants.toml`; do not edit. Each line is one change that breaks a rule "
            "of the sync\nengine on purpose. The third column names the scenarios and tests that cite the rule and failed; "
            "the last says how\nmany unit tests that do not cite it failed too. Tests are named by crate and function, scenarios by folder and "
            "file.\n\n| rule | what the mutant does | caught by | others |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    if not arguments.work:
        shutil.rmtree(work)
    print(f"{len(rows)} mutants, {len(missed)} not caught by a test that cites their rule: {', '.join(missed) or '-'}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
