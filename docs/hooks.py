#!/usr/bin/env python3
"""Writes docs/src/hooks.md, the hook reference, from the contract; `--check` fails if it is stale.

The contract is sdk/wit/policy.wit; the functions of scripts come from core/script/src/shapes.rs. Nothing is said here that
is not said there: a wrong sentence is mended in the contract.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIT = ROOT / "sdk/wit/policy.wit"
SHAPES = ROOT / "core/script/src/shapes.rs"
PAGE = ROOT / "docs/src/hooks.md"

# The way of a request; the rest of a hook's section is made.
ORDER = ["admit", "redact", "guard", "route", "attempt", "on-error", "guard-response", "stream", "price", "complete"]
CAPABILITIES = ["targets", "env", "telemetry", "annotate", "tokens", "kv", "http"]

HEADER = """# Hook reference

<!-- Made by docs/hooks.py from sdk/wit/policy.wit and core/script/src/shapes.rs. Do not edit: mend the contract. -->

A hook is a point on the way of a request at which policy is asked. This page is made from the contract,
[`{package}`](https://component-model.bytecodealliance.org/design/wit.html): the same names hold in Wasm, in Rust, in Rhai (with `_`
for `-`), in golden cases and in decision traces. What scripts call is in the [reference for scripts](rhai.md).

"""


def main():
    page = page_of(WIT.read_text(), SHAPES.read_text())
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page)
    elif not PAGE.exists() or PAGE.read_text() != page:
        sys.exit(f"{PAGE.relative_to(ROOT)} is stale: run docs/hooks.py and commit what it writes")


def page_of(wit, shapes):
    preamble, package = re.match(r"((?:///[^\n]*\n)+)package ([^;]+);", wit).groups()
    interfaces = dict(interfaces_of(wit))
    functions = functions_of(shapes)
    named = [name for name in interfaces if name.startswith("hook-")]
    if sorted(named) != sorted(f"hook-{hook}" for hook in ORDER):
        sys.exit(f"docs/hooks.py: the contract's hooks are {', '.join(named)}; ORDER here says otherwise")

    out = [HEADER.format(package=package), paragraphs(preamble), "\n\n"]
    out.append("| hook | function of a script | when it is asked |\n|---|---|---|\n")
    for hook in ORDER:
        calls = "<br>".join(f"`{call}`" for call in functions[hook])
        out.append(f"| [`{hook}`](#{hook}) | {calls} | {first_sentence(interfaces[f'hook-{hook}'][0])} |\n")
    out.append("\n## Hooks\n\n")
    for hook in ORDER:
        doc, body = interfaces[f"hook-{hook}"]
        out.append(section(hook, doc, body))
    out.append("## What every policy has\n\n")
    for name in ["request", "lifecycle", "fault"]:
        out.append(section(name, *interfaces.pop(name)))
    out.append("## Capabilities\n\nEach is asked for in the manifest and granted by the operator.\n\n")
    for name in CAPABILITIES:
        out.append(section(name, *interfaces.pop(name)))
    out.append("## Types\n\n" + section("types", *interfaces.pop("types")))
    left = [name for name in interfaces if not name.startswith("hook-")]
    if left:
        sys.exit(f"docs/hooks.py: the contract has interfaces that no chapter names: {', '.join(left)}")
    return "".join(out).rstrip() + "\n"


def section(name, doc, body):
    return f"### {name}\n\n{doc}\n\n```wit\n{body}\n```\n\n"


def interfaces_of(wit):
    """Name, documentation and body of each interface, in order."""
    for match in re.finditer(r"((?:^///[^\n]*\n)*)^interface ([a-z0-9-]+) \{\n(.*?)^\}", wit, re.M | re.S):
        doc = " ".join(line.removeprefix("/// ") for line in match[1].splitlines())
        lines = [line for line in match[3].splitlines() if not line.strip().startswith("use ")]
        yield match[2], (doc, dedented(lines))


def dedented(lines):
    text = "\n".join(line.removeprefix("  ") for line in lines)
    return text.strip("\n")


def functions_of(shapes):
    """The functions of a script by hook, as `name(parameters)`."""
    functions = {}
    rows = re.findall(r'(needed|optional)\(Hook::(\w+), "(\w+)", "([^"]+)"', shapes)
    for need, hook, name, parameters in rows:
        kebab = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", hook).lower()
        call = f"{name}({parameters})"
        functions.setdefault(kebab, []).append(call)
    missing = set(ORDER) - set(functions)
    if missing:
        sys.exit(f"docs/hooks.py: {SHAPES.relative_to(ROOT)} has no function for {', '.join(sorted(missing))}")
    return functions


def first_sentence(doc):
    return re.split(r"(?<=\.)\s", doc, maxsplit=1)[0]


def paragraphs(comment):
    lines = [line.removeprefix("///").strip() for line in comment.splitlines()]
    return re.sub(r"(?<=\S)\n(?=\S)", " ", "\n".join(lines)).strip()


if __name__ == "__main__":
    main()
