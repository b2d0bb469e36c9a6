"""What Anthropic demands of the turns of a conversation."""

from .media import IMAGES, decoded, is_a
from .refusal import Refused
from .scripts import REASONING, Medium, Result, proof

THOUGHTS = (REASONING, REASONING + " Again.", "")


def blocks_of(content):
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def read_turns(body, seen, new):
    """Checks every turn and gathers what the model sees."""
    merged = []
    for index, message in enumerate(body["messages"]):
        blocks = blocks_of(message["content"])
        last = index == len(body["messages"]) - 1
        if not blocks and not (last and message["role"] == "assistant"):
            raise Refused(f"messages.{index}: all messages must have non-empty content except for the optional final assistant message")
        for at, block in enumerate(blocks):
            check_block(block, f"messages.{index}.content.{at}", message["role"], seen, new)
        if message["role"] == "system":
            seen.system.extend(block["text"] for block in blocks)
        elif merged and merged[-1][0] == message["role"]:
            merged[-1][1].extend(blocks)
        else:
            merged.append((message["role"], list(blocks)))
    if not merged or merged[0][0] != "user":
        raise Refused("messages: first message must use the \"user\" role")
    check_pairs(merged)
    check_end(merged, seen)
    gather(merged, seen)


def check_block(block, where, role, seen, new):
    kind = block["type"]
    if kind in ("tool_use", "thinking", "redacted_thinking") and role != "assistant":
        raise Refused(f"{where}: `{kind}` blocks can only be in `assistant` messages")
    if kind in ("tool_result", "image") and role != "user" or kind == "document" and role == "assistant" and new:
        raise Refused(f"{where}: `{kind}` blocks can only be in `user` messages")
    if kind == "text" and not block["text"].strip():
        raise Refused("messages: text content blocks must " + ("contain non-whitespace text" if block["text"] else "be non-empty"))
    if kind == "text" and new and role == "user" and block.get("citations"):
        raise Refused(f"{where}.citations: not permitted in user messages")
    if kind in ("image", "document"):
        medium(block, where)
    if kind == "thinking":
        check_thought(block, where, seen)
    if kind == "tool_result" and not isinstance(block.get("content", ""), str):
        for at, inside in enumerate(block["content"]):
            check_block(inside, f"{where}.content.{at}", role, seen, new)
        if block.get("is_error") and any(inside["type"] != "text" for inside in block["content"]):
            raise Refused(f"{where}: all content must be type \"text\" if \"is_error\" is true")


def check_thought(block, where, seen):
    signature = block["signature"]
    if block["thinking"] not in THOUGHTS or signature not in (proof(text) for text in THOUGHTS[:2]) or \
            block["thinking"] and signature != proof(block["thinking"]):
        raise Refused(f"{where}: Invalid `signature` in `thinking` block")
    seen.proofs.append(signature)


def medium(block, where):
    """The picture or document of a block."""
    source = block["source"]
    if source["type"] == "url":
        if not source["url"].startswith("https://"):
            raise Refused(f"{where}.source.url: Only HTTPS URLs are supported.")
        return Medium("url", len(source["url"]))
    if source["type"] == "text":
        return Medium(source["media_type"], len(source["data"]), block.get("title") or "")
    if source["type"] != "base64":
        return Medium(source["type"], 0)
    mime, data = source["media_type"], decoded(source["data"])
    allowed = IMAGES if block["type"] == "image" else ("application/pdf",)
    if mime not in allowed:
        raise Refused(f"{where}.source.base64.media_type: Input should be " + " or ".join(repr(each) for each in allowed))
    if data is None:
        raise Refused(f"{where}.source.base64.data: invalid base64 data")
    if not is_a(mime, data):
        raise Refused(f"{where}.source.base64: The {block['type']} was specified using the {mime} media type, but it appears to be another"
                      if block["type"] == "image" else f"{where}.source.base64.data: The PDF specified was not valid.")
    return Medium(mime, len(data), block.get("title") or "")


def check_pairs(merged):
    """Each call has one result in the next turn, and each result has its call in the turn before."""
    known = set()
    for at, (role, blocks) in enumerate(merged):
        uses = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if len(set(uses)) < len(uses) or known & set(uses):
            raise Refused(f"messages.{at}.content: `tool_use` ids must be unique")
        known |= set(uses)
        if role == "user":
            asked = [block["id"] for block in merged[at - 1][1] if block["type"] == "tool_use"] if at else []
            check_results(blocks, asked, at)
        elif uses and at == len(merged) - 1:
            unanswered(uses, at)


def unanswered(ids, at):
    raise Refused(f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(ids)}. Each "
                  "`tool_use` block must have a corresponding `tool_result` block in the next message.")


def check_results(blocks, asked, at):
    given, others = [], False
    for index, block in enumerate(blocks):
        if block["type"] != "tool_result":
            others = True
            continue
        one = block["tool_use_id"]
        if one not in asked:
            raise Refused(f"messages.{at}.content.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {one}. Each `tool_result` "
                          "block must have a corresponding `tool_use` block in the previous message.")
        if one in given:
            raise Refused(f"messages.{at}.content.{index}: each tool_use must have a single result. Found multiple `tool_result` blocks with "
                          f"id: {one}")
        if others:
            unanswered([one], at - 1)
        given.append(one)
    if missing := [one for one in asked if one not in given]:
        unanswered(missing, at - 1)


def check_end(merged, seen):
    """What holds for the last turn of the assistant."""
    role, blocks = merged[-1]
    if role == "assistant" and blocks:
        if seen.thinks:
            raise Refused("When thinking is enabled, the final message may not be an `assistant` message: prefill is not supported.")
        if blocks[-1]["type"] == "text" and blocks[-1]["text"] != blocks[-1]["text"].rstrip():
            raise Refused("messages: final assistant content cannot end with trailing whitespace")
    for at, (role, blocks) in enumerate(merged):
        if role == "assistant" and blocks and blocks[-1]["type"] in ("thinking", "redacted_thinking"):
            raise Refused(f"messages.{at}: The final block in an assistant message cannot be `thinking`.")
    if not seen.strictly_thinks or role != "user" or len(merged) < 2:
        return
    if any(block["type"] == "tool_result" for block in blocks):
        first = merged[-2][1][0]["type"]
        if first not in ("thinking", "redacted_thinking"):
            raise Refused(f"messages.{len(merged) - 2}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When "
                          "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceding the lastmost set of "
                          "`tool_use` and `tool_result` blocks).")


def gather(merged, seen):
    names = {}
    for at, (role, blocks) in enumerate(merged):
        texts, last = [], at == len(merged) - 1
        for block in blocks:
            if block["type"] == "text":
                texts.append(block["text"])
            elif block["type"] in ("image", "document"):
                seen.media.append(medium(block, ""))
            elif block["type"] == "tool_use":
                names[block["id"]] = block["name"]
            elif block["type"] == "tool_result":
                result = result_of(block, names)
                seen.turns.append(("tool", result.text))
                if last:
                    seen.results.append(result)
        if texts:
            seen.turns.append((role, "\n".join(texts)))


def result_of(block, names):
    inside = blocks_of(block.get("content", ""))
    text = "\n".join(each["text"] for each in inside if each["type"] == "text")
    media = [medium(each, "") for each in inside if each["type"] != "text"]
    return Result(names[block["tool_use_id"]], text, bool(block.get("is_error")), media)
