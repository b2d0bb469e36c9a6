"""What the agents send, in facts: names of fields, kinds of items and tools, short values; never what they say."""

SHORT = 80
LISTS = {"messages", "input", "tools", "system", "contents"}


def show(exchanges):
    for exchange in exchanges:
        print(f"    {exchange['method']} {exchange['target']}")
        for name, value in exchange["headers"]:
            print(f"      {name}: {value if len(value) < 3 * SHORT else f'<{len(value)} characters>'}")
        body = exchange["body"] if isinstance(exchange["body"], dict) else {}
        for name, value in body.items():
            if name not in LISTS:
                print(f"      .{name} = {short(value)}")
        for tool in body.get("tools") or []:
            tooled(tool)
        for item in [*system(body), *(body.get("messages") or body.get("input") or [])]:
            said(item)


def system(body):
    value = body.get("system")
    return [{"role": "(system)", "content": value}] if value else []


def tooled(tool, depth=0):
    print(f"      {'  ' * depth}tool {tool.get('type', '(no type)')} {tool.get('name', '')} {sorted(tool)}")
    for inner in tool.get("tools") or []:
        tooled(inner, depth + 1)


def said(item):
    content = item.get("content", item.get("output"))
    kinds = content
    if isinstance(content, list):
        kinds = [f"{part.get('type')}{sorted(set(part) - {'type'})}" for part in content]
    elif isinstance(content, str):
        kinds = f"<string of {len(content)}>"
    print(f"      item {item.get('type', '')} {item.get('role', '')} {sorted(item)}: {kinds}")
    for tool in item.get("tools") or []:
        tooled(tool, 1)


def short(value):
    if isinstance(value, dict):
        return {name: short(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [short(inner) for inner in value]
    return f"<string of {len(value)}>" if isinstance(value, str) and len(value) > SHORT else value
