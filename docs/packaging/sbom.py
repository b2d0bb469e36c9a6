#!/usr/bin/env python3
"""The bill of materials of a release, CycloneDX 1.5 as JSON: `docs/packaging/sbom.py >weir.cdx.json`.

Asks `cargo metadata` what the binary and the shipped plugins are made of, each for its own platform. Left out are crates
that only tests use; kept are those that run in the build (procedural macros, build scripts), since they can shape it.
Optional parts are those of a build of the whole workspace, which is how `make dist` builds. C code that crates bring
along (SQLite, zlib-ng, mimalloc) is listed by the crate that brings it. The same Cargo.lock gives the same bytes.
"""

import json
import os
import pathlib
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
CARGO = os.environ.get("CARGO", "cargo")
NATIVE = os.environ.get("WEIR_TARGET", "x86_64-unknown-linux-gnu")
BINARY = "weir"


def main():
    if sys.argv[1:]:
        sys.exit(__doc__)
    json.dump(bill(), sys.stdout, indent=1)
    print()


def bill():
    plugins = sorted(f"weir-plugin-{each.parent.name}" for each in ROOT.glob("plugins/*/manifest.yaml"))
    parts, edges = {}, {}
    for platform, roots in ((NATIVE, [BINARY]), ("wasm32-unknown-unknown", plugins)):
        collect(metadata(platform), roots, parts, edges)
    lock = (ROOT / "Cargo.lock").read_text()
    sums = checksums(lock)
    whole = component(parts[BINARY], sums) | {"type": "application"}
    rest = sorted(key for key in parts if key != BINARY)
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, lock)}",
        "metadata": {"component": whole, "tools": {"components": [{"type": "application", "name": "docs/packaging/sbom.py"}]}},
        "components": [component(parts[key], sums) | ({"type": "application"} if key in plugins else {}) for key in rest],
        "dependencies": [
            {"ref": reference(parts[key]), "dependsOn": sorted({reference(parts[each]) for each in edges[key]})}
            for key in [BINARY, *rest]
        ],
    }


def metadata(platform):
    command = [CARGO, "metadata", "--format-version", "1", "--locked", "--filter-platform", platform]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"sbom: `{' '.join(command)}` failed:\n{done.stderr}")
    return json.loads(done.stdout)


def collect(said, roots, parts, edges):
    """Adds what `roots` are made of. A crate of ours goes by its name, any other by name and version."""
    packages = {each["id"]: each for each in said["packages"]}
    nodes = {each["id"]: each for each in said["resolve"]["nodes"]}
    ours = {each["name"]: each["id"] for each in said["packages"] if each["source"] is None}
    if missing := [name for name in roots if name not in ours]:
        sys.exit(f"sbom: the workspace has no package {', '.join(missing)}: a plugin's is weir-plugin- and its folder's name")
    waiting, seen = [ours[name] for name in roots], set()
    while waiting:
        if (at := waiting.pop()) in seen:
            continue
        seen.add(at)
        needed = [each["pkg"] for each in nodes[at]["deps"] if any(kind["kind"] != "dev" for kind in each["dep_kinds"])]
        parts[key(packages[at])] = packages[at]
        edges.setdefault(key(packages[at]), set()).update(key(packages[each]) for each in needed)
        waiting += needed


def key(package):
    return package["name"] if package["source"] is None else f"{package['name']} {package['version']}"


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def checksums(lock):
    return {(each["name"], each["version"]): each.get("checksum") for each in tomllib.loads(lock)["package"]}


def component(package, sums):
    made = {
        "type": "library", "bom-ref": reference(package), "name": package["name"], "version": package["version"],
        "purl": reference(package), "description": (package["description"] or "").strip(),
    }
    if package["license"]:
        # An old way to say "or".
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if digest := sums.get((package["name"], package["version"])):
        made["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if package["repository"]:
        made["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return made


if __name__ == "__main__":
    main()
