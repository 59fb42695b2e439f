"""The YAML nodes of a manifest, each with its line and its place, and what is wrong with them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import yaml

from .problems import Problems

# Above how like `valueFrom` and `value` are, which are two fields of Kubernetes.
_ALIKE = 0.8
_TAG = "tag:yaml.org,2002:"
# PyYAML takes a date for a timestamp and `=` for a "value"; Kubernetes takes both for strings.
_TEXT_TAGS = frozenset(_TAG + name for name in ("str", "timestamp", "value"))
_NUMBER_TAGS = frozenset((_TAG + "int", _TAG + "float"))
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


Value = TypeVar("Value")


class Field:
    """One node and its place. Each reader returns None after noting what is wrong."""

    def __init__(self, node: yaml.Node, where: str, problems: Problems) -> None:
        self._node = node
        self.where = where
        self._problems = problems

    def problem(self, code: str, message: str) -> None:
        """Note a problem of this field."""
        self._problems.add(self._node.start_mark.line + 1, self.where or "manifest", code, message)

    @property
    def is_object(self) -> bool:
        """True for what has fields."""
        return isinstance(self._node, yaml.MappingNode) and self._node.tag == _TAG + "map"

    @property
    def is_list(self) -> bool:
        """True for what has items."""
        return isinstance(self._node, yaml.SequenceNode) and self._node.tag == _TAG + "seq"

    @property
    def is_null(self) -> bool:
        """True for a value that is written as null, or not at all."""
        return self._node.tag == _TAG + "null"

    def is_text(self, text: str) -> bool:
        """True for exactly this string; nothing is noted."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.tag == _TAG + "str" and self._node.value == text

    def text(self) -> str | None:
        """A string."""
        node = self._scalar("a string")
        if node is None:
            return None
        if node.tag not in _TEXT_TAGS:
            self.problem("wrong-type", f"{node.value} must be a string: write it in quotes")
            return None
        return self._clean(node.value)

    def amount(self) -> str | None:
        """A number or a string, as it is written."""
        node = self._scalar("a quantity")
        if node is None:
            return None
        if node.tag not in _TEXT_TAGS | _NUMBER_TAGS:
            self.problem("wrong-type", f"{node.value or 'null'} must be a quantity")
            return None
        return self._clean(node.value)

    def boolean(self) -> bool | None:
        """`true` or `false`."""
        node = self._scalar("true or false")
        if node is None:
            return None
        if node.tag != _TAG + "bool" or node.value.lower() not in ("true", "false"):
            self.problem("wrong-type", f"{node.value!r} must be true or false, without quotes")
            return None
        return bool(node.value.lower() == "true")

    def integer(self) -> int | None:
        """A whole number, 0 or more."""
        node = self._scalar("a whole number")
        if node is None:
            return None
        if node.tag != _TAG + "int" or _DECIMAL.fullmatch(node.value) is None:
            self.problem("wrong-type", f"{node.value!r} must be a decimal whole number, without quotes")
            return None
        if int(node.value) < 0:
            self.problem("invalid-value", f"{node.value} must be 0 or more")
            return None
        return int(node.value)

    def mode(self) -> int | None:
        """Permission bits: octal where they begin with 0, as YAML 1.1 has it, or decimal."""
        node = self._scalar("permission bits")
        if node is None:
            return None
        text = node.value.replace("0o", "0", 1)
        is_octal = text.startswith("0") and len(text) > 1
        form = "[0-7]{1,5}" if is_octal else "[0-9]{1,4}"
        if node.tag not in _NUMBER_TAGS | _TEXT_TAGS or re.fullmatch(form, text) is None:
            self.problem("wrong-type", f"{node.value!r} must be permission bits such as 0644")
            return None
        bits = int(text, 8 if is_octal else 10)
        if bits > 0o777:
            self.problem("invalid-value", f"{node.value} must be between 0 and 0777")
            return None
        return bits

    def items(self) -> list[Field]:
        """The entries of a list; empty after a problem."""
        if not isinstance(self._node, yaml.SequenceNode) or self._node.tag != _TAG + "seq":
            self.problem("wrong-type", f"must be a list, not {_kind(self._node)}")
            return []
        return [Field(node, f"{self.where}[{index}]", self._problems) for index, node in enumerate(self._node.value)]

    @property
    def _line(self) -> int:
        line: int = self._node.start_mark.line + 1
        return line

    def honoured(self) -> None:
        """Note that the field has its effect."""
        self._problems.report(self._line, self.where, "honoured")

    def without_effect(self, reason: str) -> None:
        """Note that the field, with this value, changes nothing."""
        self._problems.report(self._line, self.where, "without effect", reason)

    def _told(self) -> None:
        """Note so for a field that has no fields of its own."""
        is_list_of_objects = isinstance(self._node, yaml.SequenceNode) and any(
            isinstance(node, yaml.MappingNode) for node in self._node.value
        )
        if not is_list_of_objects and not (self.is_object and self._node.value):
            self.honoured()

    def fields(self, known: Iterable[str], inert: Mapping[str, str] = {}) -> dict[str, Field]:
        """The fields of an object, without those that are null; others than `known` are noted as problems.

        `inert` are accepted without effect, each for its reason.
        """
        names = frozenset(known)
        stated = self._known_fields(names | inert.keys())
        for name, field in stated.items():
            if name in inert:
                field.without_effect(inert[name])
            else:
                field._told()
        return {name: field for name, field in stated.items() if name in names}

    def _known_fields(self, names: frozenset[str]) -> dict[str, Field]:
        found = self.entries()
        for name in found.keys() - names:
            alike = difflib.get_close_matches(name, names, 1, _ALIKE)
            hint = f"; did you mean {alike[0]}?" if alike else ""
            found[name].problem("unknown-field", f"firkin does not honour this field{hint}")
        return {name: field for name, field in found.items() if name in names and not field.is_null}

    def required(self, fields: dict[str, Field], name: str) -> Field | None:
        """The field `name` of this object's `fields`; its absence is noted."""
        field = fields.get(name)
        if field is None and self.is_object:
            self.problem("missing-field", f"{name} is missing")
        return field

    def entries(self) -> dict[str, Field]:
        """The entries of an object; empty after a problem."""
        if not self.is_object:
            self.problem("wrong-type", f"must be an object, not {_kind(self._node)}")
            return {}
        found: dict[str, Field] = {}
        for key, value in self._node.value:
            place = Field(key, self.where, self._problems)
            if not isinstance(key, yaml.ScalarNode):
                place.problem("wrong-type", "a key must be a string")
                continue
            name = place._clean(key.value)
            if name is None:
                continue
            field = Field(value, _below(self.where, name), self._problems)
            if name in found:
                Field(key, field.where, self._problems).problem("duplicate-key", "this key is given twice")
                continue
            found[name] = _LocatedField(value, field.where, self._problems, key.start_mark.line + 1)
        return found

    def _scalar(self, expected: str) -> yaml.ScalarNode | None:
        node = self._node
        if isinstance(node, yaml.ScalarNode) and node.tag.startswith(_TAG) and not self.is_null:
            return node
        self.problem("wrong-type", f"must be {expected}, not {_kind(node)}")
        return None

    def _clean(self, text: str) -> str | None:
        if "\0" in text:
            self.problem("invalid-value", f"{text!r} contains NUL")
            return None
        try:
            text.encode()
        except UnicodeEncodeError:
            self.problem("invalid-value", f"{text!r} cannot be written as UTF-8")
            return None
        return text


def made(
    field: Field | None, make: Callable[[str], Value], read: Callable[[Field], str | None] = Field.text
) -> Value | None:
    """Make a value of a field's text, noting what `make` raises; None for an absent field and after a problem."""
    text = None if field is None else read(field)
    if field is None or text is None:
        return None
    try:
        return make(text)
    except ValueError as error:
        field.problem("invalid-value", str(error))
        return None


class _LocatedField(Field):
    """The value of a key; its problems are told with the line of the key."""

    def __init__(self, node: yaml.Node, where: str, problems: Problems, line: int) -> None:
        super().__init__(node, where, problems)
        self._key_line = line

    @property
    def _line(self) -> int:
        return self._key_line

    def problem(self, code: str, message: str) -> None:
        """Note a problem of this field."""
        self._problems.add(self._key_line, self.where, code, message)


def _below(where: str, name: str) -> str:
    if _PLAIN_KEY.fullmatch(name) is None:
        return f'{where}["{name}"]'
    return f"{where}.{name}" if where else name


def _kind(node: yaml.Node) -> str:
    name = node.tag.removeprefix(_TAG)
    known = {"map": "an object", "seq": "a list", "null": "null"}
    if isinstance(node, yaml.ScalarNode) and name in ("str", "int", "float", "bool", "timestamp", "value"):
        return f"{node.value!r}"
    return known.get(name, f"a value of the tag {name}")
