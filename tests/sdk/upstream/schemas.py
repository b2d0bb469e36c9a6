"""JSON Schemas: what each provider takes of them, and an object that fits one."""


class Unfit(Exception):
    """`where` is a path inside the schema, `what` is the fault in words."""

    def __init__(self, where, what, key=None):
        super().__init__(where, what)
        self.where, self.what, self.key = list(where), what, key


def inner(schema):
    """Every schema inside another, with its path."""
    for name in ("properties", "$defs", "definitions"):
        for key, each in schema.get(name, {}).items():
            yield [name, key], each
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for index, each in enumerate(schema.get(name, [])):
            yield [name, index], each
    for name in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(name), dict):
            yield [name], schema[name]


def is_object(schema):
    kind = schema.get("type")
    return kind == "object" or isinstance(kind, list) and "object" in kind or "properties" in schema


STRICT_UNKNOWN = ("allOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else", "oneOf", "patternProperties",
                  "unevaluatedProperties", "propertyNames", "minProperties", "maxProperties", "uniqueItems", "contains")


def openai_strict(schema, path=()):
    """The subset of strict structured output: closed objects, all of whose properties are required."""
    if not path and (schema.get("type") != "object" or "anyOf" in schema):
        raise Unfit(path, f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'.")
    for name in STRICT_UNKNOWN:
        if name in schema:
            raise Unfit(path, f"'{name}' is not permitted.")
    if is_object(schema):
        if schema.get("additionalProperties") is not False:
            raise Unfit(path, "'additionalProperties' is required to be supplied and to be false.")
        missing = [name for name in schema.get("properties", {}) if name not in schema.get("required", [])]
        if missing or "required" not in schema:
            raise Unfit(path, "'required' is required to be supplied and to be an array including every key in properties."
                              f" Missing '{(missing or [''])[0]}'.")
        surplus = [name for name in schema["required"] if name not in schema.get("properties", {})]
        if surplus:
            raise Unfit(path, f"'required' is required to be supplied and to be an array including every key in properties."
                              f" Extra required key '{surplus[0]}' supplied.")
    elif not {"type", "anyOf", "$ref", "enum", "const"} & schema.keys():
        raise Unfit(path, "schema must have a 'type' key.")
    if "array" in types(schema) and "items" not in schema:
        raise Unfit(path, "array schema missing items.")
    for where, each in inner(schema):
        openai_strict(each, (*path, *where))


def types(schema):
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else kind


ANTHROPIC_UNKNOWN = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems"),
}


def anthropic_output(schema, path=()):
    """The subset of `output_config.format` and of strict tools: closed objects, no bounds."""
    if is_object(schema) and schema.get("additionalProperties") is not False:
        raise Unfit(path, "For 'object' type, 'additionalProperties' must be explicitly set to false")
    for kind in types(schema):
        for name in ANTHROPIC_UNKNOWN.get(kind, ()):
            if name in schema:
                raise Unfit(path, f"For '{kind}' type, property '{name}' is not supported")
    for where, each in inner(schema):
        anthropic_output(each, (*path, *where))


GEMINI = {"type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required",
          "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering",
          "default", "items", "minimum", "maximum"}
GEMINI_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
STRING_FORMATS = ("enum", "date-time")


def gemini(schema, path=()):
    """The provider's own `Schema` message, which knows far less than JSON Schema. `Unfit.key` is an unknown name."""
    for name in schema:
        if name not in GEMINI:
            raise Unfit(path, "Cannot find field.", key=name)
    kind = schema.get("type")
    if isinstance(kind, list):
        raise Unfit([*path, "type"], "Proto field is not repeating, cannot start list.", key="type")
    kind = kind.lower() if isinstance(kind, str) else None
    if kind is not None and kind not in GEMINI_TYPES:
        raise Unfit([*path, "type"], f"Invalid value ({schema['type']!r})")
    if kind is None and "anyOf" not in schema:
        raise Unfit([*path, "type"], "must be specified")
    if any(not isinstance(each, str) for each in schema.get("enum", ())):
        raise Unfit([*path, "enum"], "Invalid value (TYPE_STRING)")
    if "enum" in schema and kind != "string":
        raise Unfit([*path, "enum"], "only allowed for STRING type")
    if kind == "string" and schema.get("format", "enum") not in STRING_FORMATS:
        raise Unfit([*path, "format"], "only 'enum' and 'date-time' are supported for STRING type")
    if kind == "object" and path and not schema.get("properties"):
        raise Unfit([*path, "properties"], "should be non-empty for OBJECT type")
    if kind == "array" and "items" not in schema:
        raise Unfit([*path, "items"], "missing field.")
    for index, name in enumerate(schema.get("required", ())):
        if name not in schema.get("properties", {}):
            raise Unfit([*path, f"required[{index}]"], "property is not defined")
    for where, each in inner(schema):
        gemini(each, (*path, *where))


def instance(schema, root=None):
    """An object that fits; always the same."""
    root = root or schema
    if "$ref" in schema:
        at = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            at = at[step]
        return instance(at, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return instance(schema[name][0], root)
    kind = (types(schema) or ["object"])[0].lower()
    if kind == "object":
        return {name: instance(each, root) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema.get("items", {"type": "string"}), root)] * max(1, schema.get("minItems", 1))
    if kind == "string" and schema.get("format") == "date-time":
        return "2026-11-24T00:00:00Z"
    simple = {"string": "täxt", "integer": max(7, schema.get("minimum", 7)), "number": 1.5, "boolean": True, "null": None}
    return simple[kind]
