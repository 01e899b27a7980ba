#!/usr/bin/env python3
"""Writes the tables of infra-local/src/wire/constraints from botocore's service models (PyPI, Apache-2.0).

Usage: constraints.py          (needs: pip install botocore)

A table contains the constraints of the requests of a service: required members, lengths, ranges, enumerations and
patterns, but no documentation. It has the operations of the model whose names are string literals in the sources of the
service. Run it again after an operation was added. Equal shapes are stored once, and a shape refers to others by number.

`examples.json` contains a text for each pattern and range of lengths, for the tests of the tables. `protocols.json`
contains the protocol of every service of AWS, by the credential scope of its requests.
"""

import collections
import json
import re
from pathlib import Path

try:
    from re import _parser as parser
except ImportError:
    import sre_parse as parser

import botocore
import botocore.session

SOURCES = Path(__file__).resolve().parents[2] / "infra-local/src"
TABLES = SOURCES / "wire/constraints"

# The credential scopes of the services, by the names of their folders; S3's requests are read by s3s.
SCOPES = {"acm": "acm", "autoscaling": "autoscaling", "cloudcontrol": "cloudcontrolapi", "cloudtrail": "cloudtrail",
          "cloudwatch": "monitoring", "ec2": "ec2", "elbv2": "elasticloadbalancing", "iam": "iam", "logs": "logs",
          "rds": "rds", "ssm": "ssm", "sts": "sts"}

# Equivalents of patterns with assertions, which regex-lite does not have. The lengths of the shapes hold in addition.
EQUIVALENTS = {
    r"^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$": r"[a-z0-9]+(-[a-z0-9]+)*",
    r"^(?!\s*$).+": r".*\S.*",
    r"(\*\.)?(((?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9])\.)+((?!-)[A-Za-z0-9-]{1,62}[A-Za-z0-9])":
        r"(\*\.)?(([A-Za-z0-9][A-Za-z0-9-]{0,61})?[A-Za-z0-9]\.)+[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]",
    r"[A-Za-z](?!.*--)[0-9A-Za-z-]*[^-]|^default(?!.*--)(?!.*\.\.)[0-9A-Za-z-.]*[^-]":
        r"[A-Za-z](-?[0-9A-Za-z])*[^-]?|default([-.]?[0-9A-Za-z])*[^-]?",
    r"^(?=.{20,2048}$)arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[a-zA-Z0-9/_+=.@-]+":
        r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[a-zA-Z0-9/_+=.@-]+",
}

# Representatives of Unicode's categories: the check replaces characters beyond ASCII by them (`pattern.rs`).
CATEGORIES = {"L": "a-zA-Z\ue000", "N": "0-9\ue001", "Z": " \ue002", "Zs": " \ue002", "M": "\ue003",
              "P": r"!-#%-*,-/:;?@\[-\]_{}\ue003", "S": r"$+<->\^`|~\ue003", "Graph": "!-~", "Alnum": "a-zA-Z0-9",
              "Print": " -~", "ASCII": r"\x00-\x7F"}


def regex_lite(pattern):
    """Returns a pattern of Java in the syntax of regex-lite."""
    plain = EQUIVALENTS.get(pattern, pattern)
    # Java writes characters beyond the basic plane as two surrogates, and five digits as four and a literal one.
    plain = plain.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\x{10000}-\x{10FFFF}")
    plain = plain.replace(r"\u10000-\u10FFFF", r"\x{10000}-\x{10FFFF}")
    plain = re.sub(r"\\u([0-9A-Fa-f]{4})", r"\\x{\1}", plain)
    plain = re.sub(r"\\p\{(\w+)\}", lambda found: CATEGORIES[found[1]], plain)
    plain = re.sub(r"\[([^\]\[]*)\\p", r"[\1\\p", plain)
    # regex-lite has no escapes of characters without a meaning, and Java allows unescaped brackets in a class.
    plain = re.sub(r"\\([/_:#,@=%\"'<>! ;`~])", r"\1", plain)
    plain = re.sub(r"(?<!\\)\[((?:\\.|[^\]\\])*)\]", lambda found: f"[{found[1].replace('[', chr(92) + '[')}]", plain)
    assert not re.search(r"\(\?[=!<]|\\p|\\u", plain), f"{pattern} needs a row in EQUIVALENTS"
    return plain


NUMBERS = ("integer", "long", "float", "double")


class Shapes:
    """The shapes of a service that its requests reach, in classes of equal ones."""

    def __init__(self, service, model, is_form):
        self.service, self.is_form, self.found = service, is_form, {}
        for shape in model:
            self.collect(shape)
        self.classes = dict.fromkeys(self.found, 0)
        while True:
            keys = {name: self.key(name) for name in self.found}
            numbers = {key: number for number, key in enumerate(dict.fromkeys(keys.values()))}
            refined = {name: numbers[key] for name, key in keys.items()}
            if len(numbers) == len(set(self.classes.values())):
                break
            self.classes = refined
        self.rows = []
        for number in range(len(numbers)):
            name = next(name for name in self.found if self.classes[name] == number)
            self.rows.append(self.row(name))

    def collect(self, shape):
        if shape.name in self.found:
            return
        self.found[shape.name] = shape
        for _, inner in self.inner(shape):
            self.collect(inner)

    def inner(self, shape):
        match shape.type_name:
            case "structure":
                return [(self.member_name(name, member), member) for name, member in shape.members.items()]
            case "list":
                return [("item", shape.member)]
            case "map":
                return [("key", shape.key), ("item", shape.value)]
        return []

    def member_name(self, name, shape):
        """Returns the name of a member in requests."""
        if self.service == "ec2":
            named = shape.serialization.get("queryName")
            location = shape.serialization.get("name", name)
            return named or location[0].upper() + location[1:]
        if self.is_form and shape.type_name == "list" and shape.serialization.get("flattened"):
            return shape.member.serialization.get("name", name)
        return shape.serialization.get("name", name)

    def key(self, name):
        return json.dumps(self.row(name), sort_keys=True)

    def row(self, name):
        shape = self.found[name]
        # The type of the shape itself, because a reference may have attributes of its own.
        metadata = shape._shape_model
        row = {"type": shape.type_name}
        for bound in ("min", "max"):
            # Every length is at least 0.
            if bound in metadata and (metadata[bound] or shape.type_name in NUMBERS):
                row[bound] = metadata[bound]
        if metadata.get("sensitive"):
            row["sensitive"] = True
        # EC2's operations check their enumerations themselves, each with a wording and a code of its own.
        if "enum" in metadata and self.service != "ec2":
            row["values"] = metadata["enum"]
        elif "pattern" in metadata:
            row["pattern"] = metadata["pattern"]
            plain = regex_lite(metadata["pattern"])
            if plain != metadata["pattern"]:
                row["regex"] = plain
        if shape.type_name == "list" and self.is_form and self.service != "ec2":
            element = shape.member.serialization.get("name", "member")
            if element != "member" and not shape.serialization.get("flattened"):
                row["element"] = element
        if shape.type_name == "structure":
            names = {member: self.member_name(member, inner) for member, inner in shape.members.items()}
            required = [names[member] for member in metadata.get("required", [])]
            if required:
                row["required"] = required
            row["members"] = {name: self.classes[inner.name] for name, inner in self.inner(shape)}
        else:
            row.update((name, self.classes[inner.name]) for name, inner in self.inner(shape))
        return row


def offered(folder, names):
    """Returns the names that are string literals in the sources of a service."""
    text = "\n".join(path.read_text() for path in (SOURCES / "services" / folder).glob("**/*.rs"))
    return [name for name in names if f'"{name}"' in text]


def table(folder, scope, session):
    model = session.get_service_model(folder)
    is_form = model.metadata["protocol"] in ("ec2", "query")
    operations = {name: model.operation_model(name).input_shape for name in offered(folder, model.operation_names)}
    shapes = Shapes(folder, [shape for shape in operations.values() if shape], is_form)
    inputs = {name: shapes.classes[shape.name] if shape else None for name, shape in sorted(operations.items())}
    lines = ",\n".join(json.dumps(row, separators=(",", ":"), ensure_ascii=True) for row in shapes.rows)
    text = f'{{"operations":\n{json.dumps(inputs, separators=(",", ":"))},\n"shapes":[\n{lines}\n]}}\n'
    (TABLES / f"{scope}.json").write_text(text)
    print(f"{scope}: {len(inputs)} of {len(model.operation_names)} operations, {len(shapes.rows)} shapes, "
          f"{len(text) // 1024} KiB")
    return shapes.rows


# Examples


class Writer:
    """Writes a text that a pattern matches, which is short, or longer if it needs a minimum length."""

    def __init__(self, minimum):
        self.missing = minimum

    def text(self, tree):
        return "".join(self.one(kind, value) for kind, value in tree)

    def one(self, kind, value):
        match str(kind):
            case "LITERAL":
                return chr(value)
            case "NOT_LITERAL":
                return "a" if chr(value) != "a" else "b"
            case "ANY":
                return "a"
            case "AT":
                return ""
            case "IN":
                return next(candidate for candidate in "a1A-/.:b_" + "".join(map(chr, range(32, 0xe004)))
                            if self.is_in(candidate, value))
            case "SUBPATTERN":
                return self.text(value[-1])
            case "BRANCH":
                return self.text(max(value[1], key=lambda tree: self.missing and tree.getwidth()[1]))
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, tree = value
                texts = [self.text(tree) for _ in range(least)]
                while self.missing > 0 and len(texts) < most and tree.getwidth()[1]:
                    texts.append(self.text(tree))
                    self.missing -= len(texts[-1])
                return "".join(texts)
        raise ValueError(f"unknown part of a pattern: {kind}")

    def is_in(self, character, items):
        code, found, inverted = ord(character), False, False
        for kind, value in items:
            match str(kind):
                case "NEGATE":
                    inverted = True
                case "LITERAL":
                    found |= value == code
                case "RANGE":
                    found |= value[0] <= code <= value[1]
                case "CATEGORY":
                    name = str(value).removeprefix("CATEGORY_").removeprefix("NOT_")
                    inside = bool(re.match({"DIGIT": "[0-9]", "WORD": r"[0-9A-Za-z_]", "SPACE": r"\s"}[name], character))
                    found |= inside != ("NOT_" in str(value))
        return found != inverted


def example(plain, least, most):
    """Returns a text that a pattern in the syntax of regex-lite matches, with a length between these."""
    readable = re.sub(r"\\x\{([0-9A-Fa-f]+)\}", lambda found: re.escape(chr(int(found[1], 16))), plain)
    flags = re.IGNORECASE if readable.startswith("(?i)") else 0
    tree = parser.parse(readable.removeprefix("(?i)"))
    for missing in range(least + 1):
        text = Writer(missing).text(tree)
        if least <= len(text) <= most and re.fullmatch(readable.removeprefix("(?i)"), text, flags):
            return text
    raise ValueError(f"no example of {plain} has from {least} to {most} characters")


def examples(rows):
    found = {}
    for row in rows:
        if row["type"] == "string" and "pattern" in row:
            least, most = row.get("min", 0), row.get("max", 10 ** 6)
            found[f"{least} {row['pattern']}"] = example(row.get("regex", row["pattern"]), least, most)
    return dict(sorted(found.items()))


# Protocols


def protocols(session):
    """Returns the protocol and the id of each service, by the credential scope. Of several services with a scope, the one
    with the name of the scope, or else with the shortest name, is taken."""
    found = collections.defaultdict(list)
    for name in session.get_available_services():
        metadata = session.get_service_model(name).metadata
        scope = metadata.get("signingName") or metadata["endpointPrefix"]
        found[scope].append((name != scope, len(name), metadata["protocol"], metadata["serviceId"]))
    return {scope: sorted(services)[0][2:] for scope, services in sorted(found.items())}


def main():
    session = botocore.session.get_session()
    TABLES.mkdir(exist_ok=True)
    rows = [row for folder, scope in SCOPES.items() for row in table(folder, scope, session)]
    lines = ",\n".join(f"{json.dumps(key)}:{json.dumps(text)}" for key, text in examples(rows).items())
    (TABLES / "examples.json").write_text(f"{{\n{lines}\n}}\n")
    lines = ",\n".join(f"{json.dumps(scope)}:{json.dumps(row, separators=(',', ':'))}"
                       for scope, row in protocols(session).items())
    (TABLES / "protocols.json").write_text(f"{{\n{lines}\n}}\n")
    (TABLES / "README.md").write_text(
        f"The tables of this directory are generated by `tests/peers/constraints.py` from the service models of botocore\n"
        f"{botocore.__version__} (https://github.com/boto/botocore, Apache License 2.0). They contain names, bounds,\n"
        f"enumerations and patterns of AWS's APIs, and none of their documentation.\n")


if __name__ == "__main__":
    main()
