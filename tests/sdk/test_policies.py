"""Policies are edited while requests flow: what is good takes effect at once, what is broken is refused, nothing fails."""

import http.client
import json
import os
import re
import threading
import time
import unittest

from harness import ROOT, Gateway, eventually

ROUTE = (ROOT / "policies/route.rhai").read_text()
BODY = json.dumps({"model": "any", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}).encode()
STREAM = json.dumps(json.loads(BODY) | {"stream": True, "max_tokens": 20}).encode()
# Streams last a third of a second: longer than a swap.
CHEAP, DEAR, THIRD = "sim/sim-small?tps=50", "sim/sim-large?tps=50", "sim/sim-third?tps=50"


class Trickle:
    """Requests one after another on some connections, half of them streams; every reply is looked at."""

    def __init__(self, gateway, connections=3):
        self.gateway, self.stopped = gateway, threading.Event()
        self.replies, self.failures = [], []
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(connections)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        connection, generation, turn = self.gateway.connection(), 0, 0
        while not self.stopped.is_set():
            turn += 1
            streams = (turn + number) % 2 == 0
            try:
                status, headers, body = self.gateway.post(connection, STREAM if streams else BODY)
                whole = body.endswith(b"data: [DONE]\n\n") if streams else json.loads(body)["object"] == "chat.completion"
                now, target = int(headers["x-weir-policy-generation"]), headers["x-weir-target"]
                models = set(re.findall(rb'"model":"([^"]*)"', body))
                whole = whole and models == {target.split("/")[1].split("?")[0].encode()}
                if status != 200 or not whole or now < generation or connection.sock is None:
                    self.failures.append((status, now, generation, target, body))
                generation = now
                self.replies.append((target, now))
            except Exception as error:  # whatever it is, the request failed
                self.failures.append(repr(error))
                connection.close()
            time.sleep(0.03)
        connection.close()

    def reaches(self, target, patience=20):
        """From some reply on, all go there."""
        def settled():
            last = self.replies[-20:]
            return len(last) == 20 and all(each == target for each, _ in last)
        eventually(settled, f"requests go to {target}", patience)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(30)


class Live(unittest.TestCase):
    def setUp(self):
        self.gateway = gateway = Gateway({
            "providers": {"sim": {"builtin": "sim"}},
            "models": {"any": {"targets": [
                {"target": CHEAP, "prices": {"input": 1, "output": 1}},
                {"target": DEAR, "prices": {"input": 9, "output": 9}, "tags": ["dear"]},
                {"target": THIRD, "prices": {"input": 5, "output": 5}, "tags": ["third"]},
            ]}},
            "policies": [{"file": "route.rhai", "grants": ["targets"]}],
        }, files={"route.rhai": ROUTE})
        self.addCleanup(gateway.finish)
        self.script = gateway.folder / "route.rhai"
        self.trickle = Trickle(gateway)
        self.addCleanup(self.trickle.stop)
        self.trickle.reaches(CHEAP)

    def edit(self, tag=None, version="1.0.1", replace=False):
        """Writes the script anew; with `tag`, all goes to the target that has it."""
        plan = f'plan(targets.with_tag("{tag}"))' if tag else "plan(ranked)"
        text = ROUTE.replace("version: 1.0.0", f"version: {version}").replace("plan(ranked)", plan)
        self.write(text, replace)
        return text

    def write(self, text, replace=False):
        if replace:
            beside = self.script.with_suffix(".new")
            beside.write_text(text)
            os.replace(beside, self.script)
        else:
            self.script.write_text(text)

    def generation(self):
        return self.gateway.admin("GET", "/admin/v1/version")[1]["generation"]

    def versions(self):
        return {each["name"]: each["version"] for each in self.gateway.admin("GET", "/admin/v1/policies")[1]["policies"]}

    def finish(self):
        self.trickle.stop()
        self.assertEqual(self.trickle.failures, [])
        self.assertNotIn("a policy failed", self.gateway.log_path.read_text())
        # A generation routes in one way only.
        targets = {}
        for target, generation in self.trickle.replies:
            targets.setdefault(generation, set()).add(target)
        self.assertEqual({each: found for each, found in targets.items() if len(found) != 1}, {})
        return targets

    def test_edits_take_effect_without_a_failed_request(self):
        pid = self.gateway.admin("GET", "/admin/v1/version")[1]["pid"]
        self.edit("dear")
        self.trickle.reaches(DEAR)
        self.assertEqual(self.versions(), {"route": "1.0.1"})
        self.edit("third", "1.0.2", replace=True)
        self.trickle.reaches(THIRD)
        self.write(ROUTE)
        self.trickle.reaches(CHEAP)
        self.assertEqual(self.gateway.admin("GET", "/admin/v1/version")[1]["pid"], pid)
        self.assertEqual(list(self.finish().values()), [{CHEAP}, {DEAR}, {THIRD}, {CHEAP}])

    def test_a_broken_edit_is_refused_and_the_running_version_goes_on(self):
        self.edit("dear")
        self.trickle.reaches(DEAR)
        generation = self.generation()
        broken = {
            # name: (what is replaced, by what, the line at fault, a word of the reason)
            "syntax": ("plan(ranked)", "plan(ranked", None, "expect"),
            "unknown function": ("plan(ranked)", "plam(ranked)", "plam(ranked)", "plam"),
            "unknown method": (".healthy()", ".helthy()", ".helthy()", "helthy"),
            "unknown variable": ("plan(ranked)", "plan(rankd)", "plan(rankd)", "rankd"),
            "manifest": ("//! hooks: [route]", "//! hooks: [rote]", None, "rote"),
            "later hook": ("//! hooks: [route]", "//! hooks: [route, transform]", None, "transform"),
        }
        for name, (old, new, at, reason) in broken.items():
            with self.subTest(name):
                text = ROUTE.replace(old, new)
                self.assertNotEqual(text, ROUTE)
                self.write(text)
                status, said = self.gateway.admin("POST", "/admin/v1/reload")
                self.assertEqual(status, 422, said)
                errors = "\n".join(said["error"]["errors"])
                self.assertIn("route.rhai", errors)
                self.assertIn(reason, errors.lower())
                lines = text.splitlines()
                if at:
                    line = next(n for n, content in enumerate(lines, 1) if at in content)
                    self.assertRegex(errors, rf"route\.rhai:{line}\b")
                else:
                    self.assertRegex(errors, r"route\.rhai:\d+\b")
                self.assertEqual(self.generation(), generation)
        # Given time to notice the file by itself, it still goes on, and says why on its log.
        time.sleep(1)
        self.trickle.reaches(DEAR)
        self.assertEqual((self.generation(), self.versions()), (generation, {"route": "1.0.1"}))
        self.assertIn("reload refused", self.gateway.log_path.read_text())
        self.edit("third", "1.0.3")
        self.trickle.reaches(THIRD)
        self.assertEqual(list(self.finish().values()), [{CHEAP}, {DEAR}, {THIRD}])

    def test_rollback_brings_the_version_before_back(self):
        self.edit("dear")
        self.trickle.reaches(DEAR)
        self.write("//! name: route\n")
        self.assertEqual(self.gateway.admin("POST", "/admin/v1/reload")[0], 422)
        before = self.generation()
        self.gateway.weir("policy", "rollback")
        self.trickle.reaches(CHEAP)
        self.assertEqual(self.generation(), before + 1)
        self.assertEqual(self.versions(), {"route": "1.0.0"})
        # The file that was rolled back past does not come back by itself; an edit of it does.
        time.sleep(1)
        self.trickle.reaches(CHEAP)
        self.edit("third", "1.0.4", replace=True)
        self.trickle.reaches(THIRD)
        self.assertEqual(list(self.finish().values()), [{CHEAP}, {DEAR}, {CHEAP}, {THIRD}])

    def test_a_hook_without_its_function_is_refused_with_its_line(self):
        self.write(ROUTE.replace("fn route(", "fn rout("))
        status, said = self.gateway.admin("POST", "/admin/v1/reload")
        self.assertEqual(status, 422)
        self.assertRegex("\n".join(said["error"]["errors"]), r"route\.rhai:\d+\b")

    def test_rollback_after_a_reload_that_changed_nothing(self):
        self.edit("dear")
        self.trickle.reaches(DEAR)
        self.assertEqual(self.gateway.admin("POST", "/admin/v1/reload")[0], 200)
        self.gateway.weir("policy", "rollback")
        self.trickle.reaches(CHEAP, patience=3)

    def test_a_broken_config_is_refused_too(self):
        path = self.gateway.folder / "weir.yaml"
        good = path.read_text()
        generation = self.generation()
        path.write_text(good.replace('"grants"', '"grunts"'))
        status, said = self.gateway.admin("POST", "/admin/v1/reload")
        self.assertEqual(status, 422)
        self.assertRegex("\n".join(said["error"]["errors"]), r"weir\.yaml:\d+:\d+: .*grunts")
        self.assertEqual(self.generation(), generation)
        self.assertNotIn("good", self.gateway.weir("check", check=False))
        path.write_text(good)
        self.assertEqual(self.gateway.admin("POST", "/admin/v1/reload")[0], 200)
        self.assertEqual(self.finish().popitem()[1], {CHEAP})

    def test_admin_needs_its_token(self):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Bearer {self.gateway.key}"}):
            connection = http.client.HTTPConnection("127.0.0.1", self.gateway.admin_port, timeout=10)
            connection.request("POST", "/admin/v1/reload", headers=headers)
            self.assertEqual(connection.getresponse().status, 401)
            connection.close()


if __name__ == "__main__":
    unittest.main()
