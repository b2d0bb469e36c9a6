"""The model that the upstream plays: it reads two files; looks at a picture, runs what fails, asks for a tool that is
not declared yet; writes both texts reversed into a third file and uses the tool it got; then says so.

It decides from the request alone, as a model does: what it knows of the files is what the tool results say.
"""

import base64
import json
import re
import threading

from wire import Call, Refused, Turn

TASK = ("Read secret.txt and second.txt in this folder, then write out.txt: "
        "the reversed content of the first as line one, of the second as line two.")
PICTURE = "picture.png"
MARK = re.compile(r"begin-.*?-end")
# A call's id in a dialect: what the provider itself would make.
IDS = {"anthropic": "toolu_01", "openai-chat": "call_", "openai-responses": "call_", "gemini": None}


class Play:
    """One conversation. `wrong` lists what a provider would refuse and what did not arrive as it was sent."""

    TURNS = 4
    ASIDE = "Nothing found."

    def __init__(self, dialect, nonce, secrets, picture, folder):
        self.dialect, self.nonce, self.secrets, self.folder = dialect, nonce, secrets, folder
        self.picture = picture  # base64
        self.looked = False     # whether the agent has a tool that shows pictures
        self.said = []          # our turns, in order
        self.wrong, self.notes = [], []
        self.ended = False
        self.side = 0           # requests beside the task, such as for a title
        self.lock = threading.Lock()

    @property
    def farewell(self):
        return f"Written, {self.nonce}."

    def next(self, seen):
        """The turn that answers the request, or `Refused`."""
        with self.lock:
            if seen.wrong:
                self.wrong += [text for text in seen.wrong if text not in self.wrong]
                raise Refused("; ".join(seen.wrong))
            if TASK not in seen.text or not seen.tools:
                self.side += 1
                return Turn(f"{self.nonce}side{self.side}", say=self.ASIDE)
            return self.answer(seen)

    def answer(self, seen):
        rounds = self.rounds(seen)
        while len(self.said) > rounds:
            self.notes.append(f"turn {rounds} was asked for again")
            self.said.pop()
        turn = Turn(f"{self.nonce}t{rounds}", thought=f"Pondering “{rounds}” of {self.nonce}.",
                    proof=proof(f"{self.nonce}{rounds}"))
        learnt = self.learnt(seen) if rounds else []
        if rounds == 0:
            turn.say, turn.calls = "Reading…", self.reads(seen)
        elif rounds == 1:
            turn.calls = self.looks(seen)
        elif rounds == 2:
            self.seen_failing(seen)
            turn.calls = [self.write(seen, learnt), *self.searches(seen)]
        else:
            if pick(seen, "WebSearch"):
                self.check(self.ASIDE in seen.results[-1].text, f"the search found {seen.results[-1].text!r}")
            turn.say, self.ended = self.farewell, True
        for index, call in enumerate(turn.calls):
            prefix = IDS[self.dialect]
            call.id = f"{prefix}{turn.number}c{index}" if prefix else None
        self.said.append(turn)
        return turn

    def rounds(self, seen):
        """How many of our turns with calls are answered; checks that all of it came back as it left."""
        ours, count = [], 0
        for turn in self.said:
            if turn.calls and len(ours) < len(seen.calls):
                ours += turn.calls
                count += 1
        self.check(len(ours) == len(seen.calls), f"{len(seen.calls)} calls came back, {len(ours)} were made")
        for sent, came in zip(ours, seen.calls):
            self.check(sent.id is None or sent.id == came.id, f"call id {sent.id} came back as {came.id}")
            self.check(sent.name == came.name, f"call of {sent.name} came back as one of {came.name}")
            self.check(sent.arguments == came.arguments, f"arguments {sent.arguments!r} came back as {came.arguments!r}")
        self.check(len(seen.results) == len(seen.calls), f"{len(seen.results)} results for {len(seen.calls)} calls")
        for turn in self.said[:count]:
            self.proven(turn, seen)
        return count

    def proven(self, turn, seen):
        """Whether the turn's proof of thought came back: who serves open chat models has none, but their text."""
        if self.dialect == "openai-chat":
            if turn.thought not in seen.proofs:
                self.note("reasoning_content did not come back")
        elif turn.proof not in seen.proofs and (seen.may_think or self.dialect == "gemini"):
            self.check(False, f"the proof of turn {turn.number} did not come back")

    def seen_failing(self, seen):
        """Whether the picture came, and whether the failure came as one."""
        if self.looked:
            self.check(seen.images == [self.picture], f"the picture came {seen.images.count(self.picture)} times, "
                       f"{len(seen.images)} pictures in all")
        if pick(seen, "ToolSearch") and self.dialect != "anthropic" and not seen.results[2].text:
            self.note("what ToolSearch found came as an empty result")
        result = seen.results[-1]
        self.check(self.nonce in result.text, f"what failed told {result.text!r}")
        if self.dialect == "anthropic" and pick(seen, "Bash"):
            self.check(result.failed, "is_error is lost")

    def learnt(self, seen):
        """The secrets as the tool results tell them."""
        found = [match for result in seen.results for match in MARK.findall(result.text)]
        self.check(found == self.secrets, f"the tool results tell {found!r}, not {self.secrets!r}")
        return found

    # --- which tool, and how it is called ---------------------------------------------------------

    def reads(self, seen):
        names = ("secret.txt", "second.txt")
        if tool := pick(seen, "Read"):
            calls = [made(tool, file_path=f"{self.folder}/{names[0]}")]
            return calls + [made(pick(seen, "Bash"), command=f"cat {names[1]}", description="Show the second file")]
        if pick(seen, "exec_command", "shell_command", "shell"):
            if seen.parallel:
                return [self.shell(seen, f"cat {name}") for name in names]
            return [self.shell(seen, f"cat {' '.join(names)}")]
        script = f'const r = await tools.exec_command({{cmd: "cat {" ".join(names)}"}}); text(r.output);'
        return [made(self.script(seen), input=script)]

    def looks(self, seen):
        fails = f"echo {self.nonce} >&2; exit 3"
        path = f"{self.folder}/{PICTURE}"
        self.looked = bool(pick(seen, "Read", "view_image"))
        if tool := pick(seen, "Read"):
            found = made(pick(seen, "ToolSearch"), query="select:WebSearch", max_results=1)
            return [found, made(tool, file_path=path), made(pick(seen, "Bash"), command=fails, description="Fail")]
        if pick(seen, "exec_command", "shell_command", "shell"):
            failing = self.shell(seen, fails)
            return [made(pick(seen, "view_image"), path=path), failing] if self.looked else [failing]
        return [made(self.script(seen), input=f'throw new Error("{self.nonce}");')]

    def searches(self, seen):
        """Claude Code asks for the search in a request of its own, with nothing but Anthropic's hosted tool."""
        if not pick(seen, "ToolSearch"):
            return []
        tool = pick(seen, "WebSearch")
        self.check(tool, "the tool that ToolSearch found is not declared")
        return [made(tool, query=f"weir {self.nonce}")] if tool else []

    def write(self, seen, secrets):
        lines = [secret[::-1] for secret in secrets]
        patch = "\n".join(["*** Begin Patch", "*** Add File: out.txt", *("+" + line for line in lines), "*** End Patch"])
        if tool := pick(seen, "Write"):
            return made(tool, file_path=f"{self.folder}/out.txt", content="\n".join(lines) + "\n")
        if tool := pick(seen, "apply_patch"):
            return made(tool, input=patch + "\n")
        if pick(seen, "exec_command", "shell_command", "shell"):
            return self.shell(seen, "\n".join(["cat > out.txt <<'END'", *lines, "END"]))
        return made(self.script(seen), input=f"text(await tools.apply_patch({json.dumps(patch)}));")

    def shell(self, seen, command):
        tool = pick(seen, "exec_command", "shell_command", "shell")
        if "cmd" in tool.takes:
            return made(tool, cmd=command)
        return made(tool, command=["bash", "-c", command] if tool.name == "shell" else command)

    def script(self, seen):
        tool = pick(seen, "exec")
        if not tool:
            raise Refused(f"no tool that the scripted model can use among {[tool.name for tool in seen.tools]}")
        return tool

    def check(self, holds, complaint):
        if not holds and complaint not in self.wrong:
            self.wrong.append(complaint)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)


def proof(of):
    """A proof as providers make it: base64 with every kind of character, and long."""
    return base64.b64encode(b"\xfb\xef\xbe\xff\xff" + f"proof {of} ".encode() * 30).decode()


def pick(seen, *names):
    """The first declared tool of such a name; a gateway may have put a tool's namespace in front."""
    for name in names:
        for tool in seen.tools:
            if re.fullmatch(rf"(functions[._/-]*)?{name}", tool.name) and tool.namespace in (None, "functions"):
                return tool
    return None


def made(tool, **arguments):
    """A call of the tool; one that takes free text gets its only argument bare."""
    return Call("", tool.name, arguments["input"] if tool.custom else arguments, tool.namespace)
