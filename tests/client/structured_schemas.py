"""Schemas that tests of structured output share."""
import json
import urllib.error
import urllib.request


def post(base, path, body):
    """Status and JSON of a request that no client would send."""
    try:
        with urllib.request.urlopen(urllib.request.Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json"})) as r:
            return r.status, json.load(r)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


def obj(required=None, **properties):
    return {"type": "object", "properties": properties, "required": list(properties) if required is None else required, "additionalProperties": False}


SCHEMAS = {
    "flat": obj(name={"type": "string", "maxLength": 12}, age={"type": "integer", "minimum": 0, "maximum": 120}),
    "optional": obj(required=["b"], a={"type": "boolean"}, b={"type": "null"}, c={"type": "integer"}),
    "list": {"type": "array", "items": {"type": "integer", "minimum": -5, "maximum": 5}, "minItems": 1, "maxItems": 4},
    "tuple": {"type": "array", "prefixItems": [{"type": "boolean"}, {"enum": ["x", "y"]}], "items": False, "minItems": 2},
    "enum": {"enum": ["red", "green", 3, None, {"a": [1]}]},
    "const": {"const": {"a": "é\"\n", "b": [1.5, True]}},
    "any_of": {"anyOf": [{"type": "integer", "exclusiveMinimum": 10, "exclusiveMaximum": 20}, {"type": "string", "maxLength": 5}]},
    "one_of": {"oneOf": [obj(kind={"const": "a"}, n={"type": "integer", "maximum": 9, "minimum": 0}), obj(kind={"const": "b"}, s={"type": "string", "maxLength": 5})]},
    "all_of": {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 30}]},
    "number": {"type": "number", "minimum": -1.5, "exclusiveMaximum": 2.25},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}(-x|-y)?$"},
    "formats": obj(d={"type": "string", "format": "date"}, t={"type": "string", "format": "date-time"}, u={"type": "string", "format": "uuid"},
                   e={"type": "string", "format": "email"}),
    "map": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 9}, "properties": {"id": {"type": "boolean"}}, "required": ["id"]},
    "refs": {"$ref": "#/$defs/pair", "$defs": {"pair": obj(l={"$ref": "#/$defs/leaf"}, r={"$ref": "#/$defs/leaf"}), "leaf": {"type": ["integer", "null"], "minimum": 0, "maximum": 99}}},
    "nested": obj(a=obj(b=obj(c={"type": "array", "items": obj(d={"type": "boolean"}), "maxItems": 2}))),
}
