"""What ships Weir holds together: its configs load, the archive starts where it is unpacked, the unit waits for the drain."""

import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import unittest

from harness import ROOT, WEIR, eventually, free_ports

PACKAGING = ROOT / "docs/packaging"
# What the server may take after its grace period: to end the rest, and to flush twice (FLUSH in server.rs).
AFTER_GRACE = 15


def run(*command, cwd=ROOT, **environment):
    return subprocess.run(list(map(str, command)), cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=300)


def dist(*options, **environment):
    done = run(sys.executable, PACKAGING / "dist.py", "--weir", WEIR, *options, **environment)
    if done.returncode:
        raise AssertionError(done.stderr)


def seconds(text):
    return int(re.fullmatch(r"(\d+)s?", text)[1])


class Packaging(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-pack-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.tree = cls.folder / "tree"
        dist("--tree", cls.tree)

    def checked(self, config):
        """`weir check` of a config that is meant for an image, moved to the files of the tree."""
        moved = config.replace("/usr/share/weir", f"{self.tree}/usr/share/weir").replace("/var/lib/weir", f"{self.folder}/data")
        (self.folder / "weir.yaml").write_text(moved)
        done = run(WEIR, "check", "-c", self.folder / "weir.yaml")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_the_config_of_image_and_unit_loads(self):
        self.assertIn("3 policies", self.checked((self.tree / "etc/weir/weir.yaml").read_text()))

    def test_the_config_of_the_chart_loads(self):
        values = (PACKAGING / "helm/weir/values.yaml").read_text()
        config = textwrap.dedent(re.search(r"^config:\n((?:  .*\n|\n)+)", values, re.M)[1])
        server = 'server: { listen: "0.0.0.0:8080", admin: "0.0.0.0:8081" }\n'
        self.assertIn("3 policies", self.checked(f"data: /var/lib/weir\n{server}{config}"))

    def test_the_versions_agree(self):
        version = run(WEIR, "version").stdout.split()[1]
        chart = (PACKAGING / "helm/weir/Chart.yaml").read_text()
        self.assertEqual(re.search(r'^appVersion: "(.*)"$', chart, re.M)[1], version)

    def test_who_stops_weir_waits_for_the_drain(self):
        grace = run(WEIR, "schema", "--markdown").stdout
        least = seconds(re.search(r"`timeouts\.grace` \| duration \| `(\w+)`", grace)[1]) + AFTER_GRACE
        unit = (PACKAGING / "weir.service").read_text()
        self.assertGreaterEqual(seconds(re.search(r"^TimeoutStopSec=(\w+)$", unit, re.M)[1]), least)
        values = (PACKAGING / "helm/weir/values.yaml").read_text()
        said = {key: seconds(re.search(rf"^{key}: (\d+)$", values, re.M)[1])
                for key in ("terminationGracePeriodSeconds", "preStopSleepSeconds")}
        self.assertGreaterEqual(said["terminationGracePeriodSeconds"] - said["preStopSleepSeconds"], least)

    def test_the_data_folder_is_weirs_alone(self):
        self.assertEqual((self.tree / "var/lib/weir").stat().st_mode & 0o777, 0o700)

    def test_a_plugin_that_is_not_built_is_an_error(self):
        done = run(sys.executable, PACKAGING / "dist.py", "--weir", WEIR, "--plugins", self.folder, "--tree", self.folder / "none")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("make plugins", done.stderr)


@unittest.skipUnless(shutil.which(os.environ.get("CARGO", "cargo")), "there is no cargo to ask what Weir is made of")
class Archive(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-dist-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        dist("--out", cls.folder / "out", SOURCE_DATE_EPOCH="1700000000")
        cls.packed = next((cls.folder / "out").glob("*.tar.gz"))

    def test_the_checksums_are_right(self):
        lines = (self.folder / "out/SHA256SUMS").read_text().splitlines()
        self.assertEqual(len(lines), 2)
        for digest, name in (line.split("  ") for line in lines):
            self.assertEqual(hashlib.sha256((self.folder / "out" / name).read_bytes()).hexdigest(), digest)

    def test_entries_are_sorted_and_belong_to_nobody_here(self):
        with tarfile.open(self.packed) as tar:
            entries = tar.getmembers()
        names = [each.name for each in entries]
        self.assertEqual(names, sorted(names))
        self.assertEqual({(each.uid, each.gid, each.mtime) for each in entries}, {(0, 0, 1_700_000_000)})

    def test_the_bill_is_closed_and_true_to_the_lock(self):
        bill = json.loads(next((self.folder / "out").glob("*.cdx.json")).read_text())
        parts = [bill["metadata"]["component"], *bill["components"]]
        known = {each["bom-ref"] for each in parts}
        self.assertEqual(len(known), len(parts))
        self.assertEqual({each["ref"] for each in bill["dependencies"]}, known)
        self.assertLessEqual({ref for each in bill["dependencies"] for ref in each["dependsOn"]}, known)
        names = {each["name"] for each in parts}
        plugins = {f"weir-plugin-{each.parent.name}" for each in ROOT.glob("plugins/*/manifest.yaml")}
        self.assertLessEqual({"weir", "wasmtime", "pingora-core", "libsqlite3-sys"} | plugins, names)
        self.assertFalse({"proptest", "weir-bench"} & names, "what only tests use is not shipped")
        foreign = [each for each in parts if not each["name"].startswith("weir")]
        self.assertEqual([each["name"] for each in foreign if "hashes" not in each or "licenses" not in each], [])

    def test_it_starts_where_it_is_unpacked(self):
        with tarfile.open(self.packed) as tar:
            tar.extractall(self.folder / "unpacked")
        home = next((self.folder / "unpacked").iterdir())
        port, admin = free_ports(2)
        # The embedded config, but for its addresses: with policies and plugins beside the binary.
        defaults = (ROOT / "core/gateway/src/config/default.yaml").read_text()
        (home / "weir.yaml").write_text(defaults.replace(":8080", f":{port}").replace(":8081", f":{admin}").replace(", optional: true", ""))
        environment = {name: value for name, value in os.environ.items() if name != "WEIR_CONFIG"}
        with open(home / "log", "w") as log:
            weir = subprocess.Popen([home / "weir", "serve"], cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            # A debug build takes its time to compile a plugin.
            eventually(lambda: weir.poll() is not None or ready(admin), "the unpacked Weir is ready", 120)
            self.assertIsNone(weir.poll(), (home / "log").read_text())
        finally:
            weir.terminate()
            self.assertEqual(weir.wait(30), 0)


def ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
