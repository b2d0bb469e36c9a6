#!/usr/bin/env python3
"""Tries what the book shows: `WEIR=path/to/weir docs/test_snippets.py [PAGE …]`.

In docs/src/**/*.md these fenced blocks are tried; the others are fragments:

- ```rhai that begins with a manifest (`//! name: NAME`): loads by `weir check`, with everything granted that it asks for;
- ```yaml that begins with `# NAME.cases.yaml`: golden cases of that policy of the page, or of policies/NAME.rhai, by
  `weir policy test`;
- ```yaml that begins with `# weir.yaml`: by `weir check`, beside the page's own scripts and the shipped policies and
  plugins; what it leaves out of `providers` and `models` is the simulated provider.

Also: links between pages and includes lead somewhere, every page stands in SUMMARY.md, and the page of a shipped policy names every key of
its config. A plugin that is not built is an error: `make plugins` builds them.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
BOOK = ROOT / "docs/src"
WEIR = os.path.abspath(os.environ.get("WEIR", "weir"))

PROVIDERS = "providers:\n  sim: { builtin: sim }\n"
MODELS = "models:\n  fast: { targets: [sim/sim-fast, sim/sim-small, sim/sim-large] }\n"


def main():
    pages = [pathlib.Path(name).resolve() for name in sys.argv[1:]] or sorted(BOOK.rglob("*.md"))
    tried, failures = 0, []
    for page in pages:
        for line, what, wrong in page_tried(page):
            tried += 1
            if wrong:
                failures.append(f"{page.relative_to(ROOT)}:{line}: {what}\n    " + wrong.strip().replace("\n", "\n    "))
    failures += [wrong for page in pages for check in (dead_links, untold_keys, unlisted) for wrong in check(page)]
    print(*failures, sep="\n", end="\n" if failures else "")
    print(f"{len(pages)} pages, {tried} snippets tried, {len(failures)} failures")
    if not tried and not sys.argv[1:]:
        sys.exit("no snippet was found: has their form changed?")
    sys.exit(1 if failures else 0)


def page_tried(page):
    """Line, what it is, and what is wrong with it ('' if nothing), for each block that can be tried."""
    blocks = list(blocks_of(page.read_text()))
    with tempfile.TemporaryDirectory(prefix="weir-docs-") as folder:
        site = pathlib.Path(folder)
        (site / "policies").symlink_to(ROOT / "policies")
        (site / "plugins").symlink_to(ROOT / "plugins")
        scripts = {}
        for line, language, text in blocks:
            if language == "rhai" and (name := re.match(r"//! name: ([a-z0-9-]+)\n", text)):
                scripts[name[1]] = site / f"{name[1]}.rhai"
                scripts[name[1]].write_text(text)
                yield line, f"script {name[1]}", checked(site, config_for(text, f"{name[1]}.rhai"))
        for line, language, text in blocks:
            title = re.match(r"# (\S+)\n", text) if language == "yaml" else None
            if title and title[1].endswith(".cases.yaml"):
                yield line, title[1], cases_tried(site, title[1], text, scripts)
            elif title and title[1] == "weir.yaml":
                yield line, title[1], checked(site, completed(text))


def blocks_of(markdown):
    """Line, language and text of each fenced block."""
    block = re.compile(r"^```([a-z]*)[^\n]*\n(.*?)^```$", re.M | re.S)
    for match in block.finditer(markdown):
        yield markdown.count("\n", 0, match.start()) + 1, match[1], match[2]


def config_for(script, file):
    """A weir.yaml that grants a script all that its manifest asks for."""
    listed = lambda key: re.findall(r"[a-z0-9-]+", (re.search(rf"^//! {key}: \[([^\]]*)\]", script, re.M) or ["", ""])[1])
    grants, aliases = listed("capabilities"), listed("http")
    config = PROVIDERS + MODELS + f"policies:\n  - file: {file}\n    grants: [{', '.join(grants)}]\n"
    return config + "".join(["http:\n"] * bool(aliases)) + "".join(f"  {name}: {{ base_url: 'https://{name}.example' }}\n" for name in aliases)


def completed(config):
    for key, default in (("providers", PROVIDERS), ("models", MODELS)):
        if not re.search(rf"^{key}:", config, re.M):
            config += default
    return config


def checked(site, config):
    missing = [path for path in re.findall(r"plugins/[a-z0-9-]+\.wasm", config) if not (ROOT / path).exists()]
    if missing:
        return f"{', '.join(missing)} is not built: make plugins"
    (site / "weir.yaml").write_text(config)
    secrets = {name: "not-a-secret" for name in re.findall(r"\$\{env:([A-Z0-9_]+)\}", config)}
    return run(site, ["check"], {**os.environ, **secrets})


def cases_tried(site, title, text, scripts):
    name = title.removesuffix(".cases.yaml")
    script = scripts.get(name, site / "policies" / f"{name}.rhai")
    (site / title).write_text(text)
    return run(site, ["policy", "test", str(script), title], os.environ)


def run(site, arguments, environment):
    done = subprocess.run([WEIR, *arguments], cwd=site, env=environment, capture_output=True, text=True, timeout=120)
    return "" if done.returncode == 0 else done.stderr or done.stdout or "failed without a word"


def dead_links(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#:]+?\.md)(?:#[^)]*)?\)", text):
        if not (page.parent / target).exists():
            yield f"{page.relative_to(ROOT)}: there is no page {target}"
    for target in re.findall(r"\{\{#include ([^:}]+)", page.read_text()):
        if not (page.parent / target.strip()).exists():
            yield f"{page.relative_to(ROOT)}: there is no file {target} to include"


def untold_keys(page):
    """Keys of a shipped policy's config that its page does not name."""
    script = ROOT / "policies" / f"{page.stem}.rhai"
    if page.parent.name != "policies" or not script.exists():
        return
    said = subprocess.run([WEIR, "policy", "inspect", script], capture_output=True, text=True, timeout=120, check=True).stdout
    schema = said.partition("config schema\n")[2].strip()
    text = page.read_text()
    for key in keys_of(json.JSONDecoder().raw_decode(schema)[0]) if schema else ():
        if not re.search(rf"`(?:[a-z_\[\].]+\.)?{key}`", text):
            yield f"{page.relative_to(ROOT)}: the config has a key `{key}` that the page does not name"


def keys_of(schema):
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from keys_of(part)


def unlisted(page):
    name = page.relative_to(BOOK).as_posix()
    if name != "SUMMARY.md" and f"({name})" not in (BOOK / "SUMMARY.md").read_text():
        yield f"{page.relative_to(ROOT)}: stands in no chapter of SUMMARY.md"


if __name__ == "__main__":
    main()
