"""The shapes of requests, as data: what is unknown, missing, of a wrong type or out of range is a `Problem`.

Every provider says the same faults in words of its own, so a problem carries its parts and no text.
"""

import re


class Problem(Exception):
    """`kind` is unknown, missing, type, value, low, high, short, long or pattern; `path` is a list of keys and indexes."""

    def __init__(self, kind, path, expected=None, got=None):
        super().__init__(kind, path, expected, got)
        self.kind, self.path, self.expected, self.got = kind, list(path), expected, got


NAMES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object", type(None): "null"}


def kind_of(value):
    """The JSON type, in OpenAI's words."""
    return NAMES[type(value)]


class Shape:
    kinds = ()

    def takes(self, value):
        return type(value) in self.kinds

    def check(self, value, path):
        if not self.takes(value):
            raise Problem("type", path, NAMES[self.kinds[0]], value)
        self.inside(value, path)

    def inside(self, value, path):
        """What is checked beyond the type."""


class Text(Shape):
    kinds = (str,)

    def __init__(self, pattern=None, least=0, most=None):
        self.pattern, self.least, self.most = pattern, least, most

    def inside(self, value, path):
        if len(value) < self.least:
            raise Problem("short", path, self.least, value)
        if self.most is not None and len(value) > self.most:
            raise Problem("long", path, self.most, value)
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise Problem("pattern", path, self.pattern, value)


class Number(Shape):
    def __init__(self, low=None, high=None, whole=False):
        self.low, self.high, self.kinds = low, high, (int,) if whole else (float, int)

    def inside(self, value, path):
        if self.low is not None and value < self.low:
            raise Problem("low", path, self.low, value)
        if self.high is not None and value > self.high:
            raise Problem("high", path, self.high, value)


class Flag(Shape):
    kinds = (bool,)


class Anything(Shape):
    def check(self, value, path):
        pass

    def takes(self, value):
        return True


class Free(Shape):
    """An object of which nothing is known."""
    kinds = (dict,)


class Word(Shape):
    kinds = (str,)

    def __init__(self, *words):
        self.words = words

    def inside(self, value, path):
        if value not in self.words:
            raise Problem("value", path, self.words, value)


class Many(Shape):
    kinds = (list,)

    def __init__(self, item, least=0, most=None):
        self.item, self.least, self.most = item, least, most

    def inside(self, value, path):
        if len(value) < self.least:
            raise Problem("short", path, self.least, value)
        if self.most is not None and len(value) > self.most:
            raise Problem("long", path, self.most, value)
        for index, each in enumerate(value):
            self.item.check(each, [*path, index])


class Record(Shape):
    """An object of known keys. A name that ends in `1` must be there; an `_` keeps it apart from Python's own words."""
    kinds = (dict,)

    def __init__(self, **fields):
        self.fields = {name.rstrip("_").rstrip("1"): shape for name, shape in fields.items()}
        self.needed = [name.removesuffix("1") for name in fields if name.endswith("1")]

    def inside(self, value, path):
        for name in value:
            if name not in self.fields:
                raise Problem("unknown", [*path, name])
        for name in self.needed:
            if name not in value:
                raise Problem("missing", [*path, name])
        for name, inner in value.items():
            self.fields[name].check(inner, [*path, name])


class Tagged(Shape):
    """An object whose `key` says which of the records it is."""
    kinds = (dict,)

    def __init__(self, key, default=None, **records):
        self.key, self.default, self.records = key, default, records

    def inside(self, value, path):
        tag = value.get(self.key, self.default)
        if tag is None:
            raise Problem("missing", [*path, self.key])
        if tag not in self.records:
            raise Problem("value", [*path, self.key], tuple(self.records), tag)
        self.records[tag].check(value, path)


class Either(Shape):
    """The first whose JSON type fits is the one that counts."""

    def __init__(self, *shapes):
        self.shapes = shapes
        self.kinds = tuple(kind for shape in shapes for kind in shape.kinds)

    def takes(self, value):
        return any(shape.takes(value) for shape in self.shapes)

    def inside(self, value, path):
        next(shape for shape in self.shapes if shape.takes(value)).check(value, path)


class Null(Shape):
    kinds = (type(None),)


def maybe(shape):
    """The shape, or null."""
    return Either(shape, Null())


STR, INT, NUM, BOOL, ANY, OBJECT = Text(), Number(whole=True), Number(), Flag(), Anything(), Free()
STRINGS = Many(STR)
