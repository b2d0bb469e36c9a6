#!/usr/bin/env python3
"""Puts a built Weir into an archive: `docs/packaging/dist.py --weir BINARY [--out FOLDER]`, or into folders: `--tree ROOT`.

`--out` (target/dist) gets weir-VERSION-ARCH-linux-gnu.tar.gz, weir-VERSION.cdx.json (the bill of materials) and SHA256SUMS.
`--tree` lays the same files out as an image or a package has them: usr/bin, usr/share, etc, var/lib. The binary is
stripped on the way and may need nothing but glibc, which is checked. Nothing is built here: `make dist` builds. The same
input gives the same bytes; times are those of the last commit, or SOURCE_DATE_EPOCH.
"""

import argparse
import gzip
import hashlib
import io
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
# What every glibc system has.
LIBRARIES = re.compile(r"lib(c|m|gcc_s|pthread|dl|rt)\.so\.\d+|ld-linux[-\w]*\.so\.\d+")
COMPLETIONS = {"bash": "weir.bash", "zsh": "_weir", "fish": "weir.fish"}


def main():
    said = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    said.add_argument("--weir", required=True, type=pathlib.Path, help="the binary")
    said.add_argument("--plugins", type=pathlib.Path, default=ROOT / "plugins", help="the folder of the built plugins")
    where = said.add_mutually_exclusive_group()
    where.add_argument("--out", type=pathlib.Path, default=ROOT / "target/dist", help="the folder of the archive")
    where.add_argument("--tree", type=pathlib.Path, help="a root to lay the files out below")
    said = said.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-dist-") as folder:
        staged = staged_files(said.weir.resolve(), said.plugins, pathlib.Path(folder))
        if said.tree:
            lay_out(staged, said.tree)
        else:
            archive(staged, said.weir.resolve(), said.out)


def staged_files(weir, plugins, folder):
    """What is shipped: name in the archive -> file. Fails if a plugin is not built or the binary needs more than glibc."""
    binary = folder / "weir"
    run(["strip", "--strip-all", "-o", binary, weir])
    check_libraries(binary)
    files = {"weir": binary}
    for shell, name in COMPLETIONS.items():
        (folder / name).write_text(run([weir, "completions", shell]))
        files[f"completions/{name}"] = folder / name
    for manifest in sorted(ROOT.glob("plugins/*/manifest.yaml")):
        built = plugins / f"{manifest.parent.name}.wasm"
        if not built.exists():
            fail(f"there is no {built}; build the plugins: make plugins")
        files[f"plugins/{built.name}"] = built
    for policy in sorted(ROOT.glob("policies/*")):
        files[f"policies/{policy.name}"] = policy
    for name in ("LICENSE", "README.md", "SECURITY.md"):
        files[name] = ROOT / name
    # Not at the top: `./weir serve` there takes the embedded config, which finds plugins/ and policies/ beside it.
    return files | {f"install/{name}": HERE / name for name in ("weir.yaml", "weir.service", "grafana/weir.json")}


def check_libraries(binary):
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run(["readelf", "--dynamic", binary]))
    if more := [name for name in needed if not LIBRARIES.fullmatch(name)]:
        fail(f"the binary needs {', '.join(more)}, which an image without it would miss; link it statically")


def lay_out(files, root):
    places = {"weir": "usr/bin", "install/weir.yaml": "etc/weir", "install/weir.service": "usr/lib/systemd/system"}
    for name, file in files.items():
        to = root / places.get(name, f"usr/share/weir/{pathlib.PurePath(name).parent}") / pathlib.PurePath(name).name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
        to.chmod(mode(name))
    data = root / "var/lib/weir"
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)


def archive(files, weir, out):
    version = run([weir, "version"]).split()[1]
    name = f"weir-{version}-{platform.machine()}-linux-gnu"
    out.mkdir(parents=True, exist_ok=True)
    bill = out / f"weir-{version}.cdx.json"
    bill.write_text(run([sys.executable, HERE / "sbom.py"]))
    packed = out / f"{name}.tar.gz"
    with open(packed, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as zipped, \
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, file in sorted((files | {"weir.cdx.json": bill}).items()):
            add(tar, f"{name}/{path}", file.read_bytes(), mode(path))
    made = [packed, bill]
    lines = [f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}\n" for each in made]
    (out / "SHA256SUMS").write_text("".join(lines))
    for each in (*made, out / "SHA256SUMS"):
        print(f"{each.stat().st_size:>12,} {each}")


def add(tar, path, content, permissions):
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode, entry.mtime = len(content), permissions, epoch()
    tar.addfile(entry, io.BytesIO(content))


def mode(name):
    return 0o755 if name == "weir" else 0o644


def epoch():
    return int(os.environ.get("SOURCE_DATE_EPOCH") or run(["git", "log", "-1", "--format=%ct"]))


def run(command):
    try:
        done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        fail(f"there is no {command[0]}; .ci/setup dist installs what is missing")
    if done.returncode:
        fail(f"`{' '.join(map(str, command))}` failed:\n{done.stderr or done.stdout}")
    return done.stdout


def fail(why):
    sys.exit(f"dist: {why}")


if __name__ == "__main__":
    main()
